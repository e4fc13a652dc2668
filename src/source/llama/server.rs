//! One llama-server, or what stands before several of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::speed::{Baseline, Progress, running};
use super::target::Target;
use super::text::{self, Child, Health, Loaded, Props};
use super::vllm::{self, Figures};
use super::watch::{Watch, Work};
use super::{
    CACHED_TOKENS, CONTEXT_USED, DECODES, DRAFT_ACCEPTED, DRAFT_TOKENS, GENERATED_SPEED,
    GENERATED_TOKENS, GENERATION_SECONDS, MODEL_FAILURE, MODEL_INFO, PROMPT_SECONDS, PROMPT_SPEED,
    PROMPT_TOKENS, REQUESTS, STATE, UP, ollama,
};
use crate::config::Llama;
use crate::http::{Answer, Client};
use crate::metric::{Metric, Sample, Samples};
use crate::root::{ReadError, Reason, Root};
use crate::source::{Presence, Reader};

/// The counters of `/metrics` that are passed on.
static COUNTERS: [(&str, &Metric<2>); 8] = [
    ("prompt_tokens_total", &PROMPT_TOKENS),
    ("prompt_tokens_cached_total", &CACHED_TOKENS),
    ("prompt_seconds_total", &PROMPT_SECONDS),
    ("tokens_predicted_total", &GENERATED_TOKENS),
    ("tokens_predicted_seconds_total", &GENERATION_SECONDS),
    ("n_decode_total", &DECODES),
    ("spec_decode_num_draft_tokens_total", &DRAFT_TOKENS),
    ("spec_decode_num_accepted_tokens_total", &DRAFT_ACCEPTED),
];

/// Its gauges of requests, with the value of the label.
const REQUEST_STATES: [(&str, &str); 2] =
    [("requests_processing", "processing"), ("requests_deferred", "deferred")];

/// How long a program at the usual address that is no llama-server is left alone.
const FOREIGN: Duration = Duration::from_mins(1);

/// What a server is doing, as the label `state` says it.
type State = &'static str;

/// Reads which servers are behind another one.
type Children = fn(&str) -> Option<Vec<Child>>;

/// What was read at some moment.
struct Last {
    at: Instant,
    values: Vec<Sample>,
    problems: Vec<ReadError>,
}

/// A server that the configuration names, or the usual one.
pub(super) struct Server {
    config: Llama,
    name: String,
    client: Arc<Client>,
    /// Whether nobody named it, so that it is no failure where it is not there.
    is_guess: bool,
    /// Until when something else that listens there is left alone.
    is_foreign_until: Option<Instant>,
    /// What was read last; it is shown until the interval is over.
    last: Option<Last>,
    /// What each model of each server had done, with the process that said so.
    progress: BTreeMap<String, (Option<String>, Baseline)>,
    /// When each may be asked again.
    watches: BTreeMap<String, Watch>,
}

impl Server {
    pub(super) fn new(config: Llama, is_guess: bool) -> Self {
        let name = config.server().to_owned();
        let client = Arc::new(Client::new(&config.url, config.deadline()));
        Self {
            config,
            name,
            client,
            is_guess,
            is_foreign_until: None,
            last: None,
            progress: BTreeMap::new(),
            watches: BTreeMap::new(),
        }
    }

    /// Which state a server is in; none where there is none.
    fn inspect(&mut self, root: &Root, key: Option<&str>, samples: &mut Samples) -> Option<State> {
        let client = Arc::clone(&self.client);
        let target = Target { root, client: &client, key, model: None, query: None };
        let health = match target.get("/health") {
            Ok(health) => health,
            Err(error) => {
                self.watches.clear();
                if self.is_guess {
                    return None;
                }
                samples.problem(error);
                return Some("down");
            }
        };
        if let Some(state) = self.inspect_server(&target, &health, samples) {
            return Some(state);
        }
        self.inspect_front(&target, &health, samples)
    }

    /// A llama-server or a vLLM by its answer to `/health`; none where it is something else.
    fn inspect_server(
        &mut self,
        target: &Target<'_>,
        health: &Answer,
        samples: &mut Samples,
    ) -> Option<State> {
        match (health.status, text::health(&health.body)) {
            (200 | 503, Some(Health::Sleeping)) => {
                // It says so itself, and whatever else it is asked may wake it.
                let watch = self.watches.entry(target.id()).or_default();
                watch.fell_asleep();
                if let Some(Props { model, build, context, .. }) = &watch.props {
                    samples.record(&MODEL_INFO, [&self.name, model, build, context], 1.0);
                }
                Some("sleeping")
            }
            (200, Some(Health::Ok)) => Some(self.inspect_llama(target, samples)),
            (503, _) if health.body.contains("Loading model") => {
                self.watches.remove(&target.id());
                Some("loading")
            }
            // Lemonade asks its children for their metrics when it is asked for its own, so only
            // who cannot be that, or is known, is asked here.
            (200, None) if target.model.is_some() || self.is_vllm(target) => {
                self.read_vllm(target, samples)
            }
            _ => None,
        }
    }

    fn inspect_llama(&mut self, target: &Target<'_>, samples: &mut Samples) -> State {
        let watch = self.watches.entry(target.id()).or_default();
        // Of builds that do not say whether they sleep, nobody knows whether this question lets
        // them.
        let known = watch.props.as_ref().filter(|props| !props.tells_sleep).cloned();
        let rests = |_: &Props| !watch.may_ask(Instant::now(), || target.connections());
        if let Some(props) = known.filter(rests) {
            return self.read_model(target, &props, samples);
        }
        let is_safe = |props: &Props| props.tells_sleep || props.is_router;
        if !watch.props.as_ref().is_some_and(is_safe)
            && let Some(models) = self.sleeping_models(target)
        {
            for model in models {
                samples.record(&MODEL_INFO, [&self.name, &model, "", ""], 1.0);
            }
            return "sleeping";
        }
        let props = match target.get("/props") {
            Ok(answer) => answer,
            Err(error) => {
                self.fail(target, error, samples);
                return if target.model.is_some() { "unreachable" } else { "ready" };
            }
        };
        let watch = self.watches.entry(target.id()).or_default();
        match (props.status, text::props(&props.body)) {
            (200, Some(props)) if props.is_router && target.model.is_none() => {
                watch.props = Some(props);
                self.read_router(target, samples)
            }
            (200, Some(props)) => {
                watch.props = Some(props.clone());
                self.read_model(target, &props, samples)
            }
            (401 | 403, _) => {
                self.fail(target, target.unauthorized("/props"), samples);
                "unauthorized"
            }
            (503, _) => "loading",
            (status, _) => {
                self.fail(target, target.unexpected("/props", status), samples);
                if target.model.is_some() { "unreachable" } else { "ready" }
            }
        }
    }

    /// The models of a server that says in its list that they sleep. Until it is known that a question
    /// about properties does not wake them, this is asked before.
    fn sleeping_models(&mut self, target: &Target<'_>) -> Option<Vec<String>> {
        let list = target.get("/v1/models").ok().filter(|answer| answer.status == 200)?;
        let models = text::sleeping_models(&list.body)?;
        self.watches.entry(target.id()).or_default().fell_asleep();
        Some(models)
    }

    /// llama-swap and Lemonade answer otherwise and tell which servers are behind them; Ollama has
    /// started its own.
    fn inspect_front(
        &mut self,
        target: &Target<'_>,
        health: &Answer,
        samples: &mut Samples,
    ) -> Option<State> {
        let ways = [("/running", text::running as Children), ("/v1/health", text::backends)];
        for (path, read) in ways {
            let answer = target.get(path).ok().filter(|answer| answer.status == 200);
            if let Some(children) = answer.and_then(|answer| read(&answer.body)) {
                return Some(self.read_children(target, path, &children, samples));
            }
        }
        let version = target.get("/api/version").ok();
        if version.is_some_and(|answer| ollama::is_ollama(&answer.body)) {
            let models = target.get("/api/ps").ok().filter(|answer| answer.status == 200);
            let models = models.and_then(|answer| text::ollama_models(&answer.body));
            let children = ollama::children(target.root, models.unwrap_or_default());
            return Some(self.read_children(target, "/api/ps", &children, samples));
        }
        if health.status == 200
            && let Some(state) = self.read_vllm(target, samples)
        {
            return Some(state);
        }
        if self.is_guess {
            self.is_foreign_until = Some(Instant::now() + FOREIGN);
            return None;
        }
        // Web servers answer anything with a page.
        let is_page = health.body.trim_start().starts_with('<');
        if health.status == 200 && !is_page {
            let text = "it is there, and it is no server whose metrics halo knows";
            samples.problem(target.error("/health", Reason::Unsupported, text));
            return Some("ready");
        }
        samples.problem(target.unexpected("/health", health.status));
        Some("down")
    }

    fn read_children(
        &mut self,
        front: &Target<'_>,
        path: &str,
        children: &[Child],
        samples: &mut Samples,
    ) -> State {
        let mut states = Vec::new();
        for Child { model, address } in children {
            let address = match address {
                Ok(address) => address,
                Err(why) => {
                    let target = Target { model: Some(model), query: None, ..*front };
                    let error = target.error(path, Reason::Unsupported, why);
                    self.fail(&target, error, samples);
                    states.push("unreachable");
                    continue;
                }
            };
            let client = Client::new(address, self.config.deadline());
            // The key is for whom the user named, and not for whom an answer names.
            let key = front.key.filter(|_| client.is_on_host_of(front.client));
            let root = front.root;
            let target = Target { root, client: &client, key, model: Some(model), query: None };
            states.push(self.read_child(&target, samples));
        }
        worst(&states)
    }

    fn read_child(&mut self, target: &Target<'_>, samples: &mut Samples) -> State {
        let health = match target.get("/health") {
            Ok(health) => health,
            Err(error) => {
                self.fail(target, error, samples);
                return "unreachable";
            }
        };
        if let Some(state) = self.inspect_server(target, &health, samples) {
            return state;
        }
        let text = "what answers there is no server whose metrics halo knows";
        self.fail(target, target.error("/health", Reason::Unsupported, text), samples);
        "unreachable"
    }

    /// The models that a router has loaded; none is loaded by asking.
    fn read_router(&mut self, router: &Target<'_>, samples: &mut Samples) -> State {
        let models = match router.get("/models") {
            Ok(answer) if answer.status == 200 => text::loaded_models(&answer.body),
            Ok(answer) if answer.status == 401 => {
                samples.problem(router.unauthorized("/models"));
                return "unauthorized";
            }
            Ok(_) => None,
            Err(error) => {
                samples.problem(error);
                return "ready";
            }
        };
        let Some(models) = models else {
            samples.problem(router.error("/models", Reason::Garbage, "no list of models"));
            return "ready";
        };
        let mut states = Vec::new();
        for Loaded { model, is_sleeping } in models {
            let query = Some(text::query(&model));
            let target = Target { model: Some(&model), query, ..*router };
            states.push(self.read_routed(&target, &model, is_sleeping, samples));
        }
        worst(&states)
    }

    fn read_routed(
        &mut self,
        target: &Target<'_>,
        model: &str,
        is_sleeping: bool,
        samples: &mut Samples,
    ) -> State {
        let named = |props: Props| Props { model: model.to_owned(), ..props };
        if is_sleeping {
            let known = self.watches.get(&target.id()).and_then(|watch| watch.props.clone());
            let props = Props { is_sleeping, ..known.unwrap_or_default() };
            return self.read_model(target, &named(props), samples);
        }
        let answer = match target.get("/props") {
            Ok(answer) => answer,
            Err(error) => {
                self.fail(target, error, samples);
                return "unreachable";
            }
        };
        match (answer.status, text::props(&answer.body)) {
            (200, Some(props)) => {
                let props = named(props);
                self.watches.entry(target.id()).or_default().props = Some(props.clone());
                self.read_model(target, &props, samples)
            }
            (401 | 403, _) => {
                self.fail(target, target.unauthorized("/props"), samples);
                "unauthorized"
            }
            // It was unloaded since the list was made.
            (400 | 503, _) => "loading",
            (status, _) => {
                self.fail(target, target.unexpected("/props", status), samples);
                "unreachable"
            }
        }
    }

    /// Reads one model.
    fn read_model(&mut self, target: &Target<'_>, props: &Props, samples: &mut Samples) -> State {
        let Props { model, build, context, .. } = props;
        samples.record(&MODEL_INFO, [&self.name, model, build, context], 1.0);
        let watch = self.watches.entry(target.id()).or_default();
        // It would count as a question to the model in some builds, and wake it.
        if props.is_sleeping {
            watch.fell_asleep();
            return "sleeping";
        }
        let is_free = props.has_free_metrics();
        if !is_free && !watch.may_ask(Instant::now(), || target.connections()) {
            if !std::mem::replace(&mut watch.was_told, true) {
                tracing::info!(
                    source = "llama",
                    "{}: questions may keep this build ({build}) awake, so while it is idle halo \
                     asks rarely and shows no counters; docs/llama-servers.md says more",
                    target.client.base()
                );
            }
            return "ready";
        }
        self.read_metrics(target, model, is_free, samples)
    }

    /// Reads what a model has done and does; `is_free` where the question does not count as work.
    fn read_metrics(
        &mut self,
        target: &Target<'_>,
        model: &str,
        is_free: bool,
        samples: &mut Samples,
    ) -> State {
        let before = if is_free { None } else { target.connections() };
        let answer = match target.get("/metrics") {
            Ok(answer) => answer,
            Err(error) => {
                self.fail(target, error, samples);
                return "ready";
            }
        };
        match answer.status {
            200 => {}
            401 | 403 => {
                self.fail(target, target.unauthorized("/metrics"), samples);
                return "unauthorized";
            }
            501 => {
                let text = "start llama-server with --metrics, or LLAMA_ARG_ENDPOINT_METRICS=1";
                self.fail(target, target.error("/metrics", Reason::Disabled, text), samples);
                return "metrics_disabled";
            }
            503 => return "loading",
            status => {
                self.fail(target, target.unexpected("/metrics", status), samples);
                return "ready";
            }
        }
        let at = Instant::now();
        let values = text::metrics(&answer.body);
        if values.is_empty() {
            let text = "no metrics of a llama-server";
            self.fail(target, target.error("/metrics", Reason::Garbage, text), samples);
            return "ready";
        }
        let number = |name: &str| values.get(name).copied();
        let labels = [&*self.name, model];
        for (name, metric) in COUNTERS {
            samples.record(metric, labels, number(name));
        }
        for (name, state) in REQUEST_STATES {
            samples.record(&REQUESTS, [labels[0], labels[1], state], number(name));
        }
        let is_busy = number("requests_processing").is_some_and(|count| count > 0.0);
        if !is_free {
            let tokens = ["prompt_tokens_total", "tokens_predicted_total"];
            let tokens = tokens.map(|name| number(name).unwrap_or_default()).iter().sum();
            let waits = number("requests_deferred").is_some_and(|count| count > 0.0);
            let work = Work { tokens, is_busy: is_busy || waits };
            let watch = self.watches.entry(target.id()).or_default();
            watch.answered(at, work, before);
        }
        // A question about slots wakes a sleeping model and keeps an idle one awake.
        let slots = if is_busy && self.config.slots {
            let slots = target.get("/slots").ok();
            slots.filter(|answer| answer.status == 200).and_then(|a| text::slots(&a.body))
        } else {
            None
        };
        for slot in slots.iter().flatten().filter(|slot| slot.is_processing) {
            let labels = [labels[0], labels[1], &slot.id.to_string()];
            samples.record(&CONTEXT_USED, labels, slot.context_used);
        }
        if let Some((prompt, ended)) =
            number("prompt_tokens_total").zip(number("tokens_predicted_total"))
        {
            let running =
                if is_busy { slots.map(|slots| running(&slots)) } else { Some(BTreeMap::new()) };
            let progress = Progress { at, prompt, ended, running };
            // Two servers may have a model of the same name, and each has its own count.
            let of = format!("{} {model}", target.client.base());
            self.record_speed(model, of, answer.process, progress, samples);
        }
        "ready"
    }

    /// Reads a vLLM; none where it is something else.
    fn read_vllm(&mut self, target: &Target<'_>, samples: &mut Samples) -> Option<State> {
        let answer = target.get("/metrics").ok().filter(|answer| answer.status == 200)?;
        let at = Instant::now();
        let models = vllm::figures(&answer.body)?;
        self.watches.entry(target.id()).or_default().is_vllm = true;
        let text = |path: &str| target.get(path).map(|answer| answer.body).unwrap_or_default();
        let build = vllm::build(&text("/version")).unwrap_or_default();
        let contexts = vllm::contexts(&text("/v1/models"));
        let is_sleeping = models.values().any(|figures| figures.is_sleeping);
        for (model, figures) in &models {
            let context = contexts.get(model).map_or("", String::as_str);
            samples.record(&MODEL_INFO, [&self.name, model, &build, context], 1.0);
            let labels = [&*self.name, model];
            let Figures { prompt, cached, generated, generation_seconds, .. } = *figures;
            samples.record(&PROMPT_TOKENS, labels, prompt);
            samples.record(&CACHED_TOKENS, labels, cached);
            samples.record(&GENERATED_TOKENS, labels, generated);
            samples.record(&GENERATION_SECONDS, labels, generation_seconds);
            samples.record(&DRAFT_TOKENS, labels, figures.draft);
            samples.record(&DRAFT_ACCEPTED, labels, figures.accepted);
            for (state, count) in [("processing", figures.running), ("deferred", figures.waiting)] {
                samples.record(&REQUESTS, [labels[0], labels[1], state], count);
            }
            if let Some((prompt, ended)) = prompt.zip(generated) {
                // Its counter grows with every token, so that requests that run are in it.
                let progress = Progress { at, prompt, ended, running: Some(BTreeMap::new()) };
                let of = format!("{} {model}", target.client.base());
                self.record_speed(model, of, None, progress, samples);
            }
        }
        Some(if is_sleeping { "sleeping" } else { "ready" })
    }

    fn is_vllm(&self, target: &Target<'_>) -> bool {
        self.watches.get(&target.id()).is_some_and(|watch| watch.is_vllm)
    }

    fn record_speed(
        &mut self,
        model: &str,
        of: String,
        process: Option<String>,
        progress: Progress,
        samples: &mut Samples,
    ) {
        let labels = [&*self.name, model];
        let earlier = self.progress.remove(&of).filter(|(known, _)| *known == process);
        let (speed, next) = Baseline::advance(earlier.map(|(_, earlier)| earlier), progress);
        samples.record(&PROMPT_SPEED, labels, speed.prompt);
        samples.record(&GENERATED_SPEED, labels, speed.generated);
        self.progress.insert(of, (process, next));
    }

    /// Remembers what went wrong, and which model behind another server it is about.
    fn fail(&self, target: &Target<'_>, error: ReadError, samples: &mut Samples) {
        if let Some(model) = target.model {
            samples.record(&MODEL_FAILURE, [&self.name, model, error.reason().as_str()], 1.0);
        }
        samples.problem(error);
    }

    fn key(&self, root: &Root) -> Result<Option<String>, ReadError> {
        if let Some(path) = &self.config.api_key_file {
            let key = root.private(&path.to_string_lossy())?;
            let key = String::from_utf8_lossy(&key);
            return Ok(Some(key.lines().next().unwrap_or_default().trim().to_owned()));
        }
        let variable = self.config.api_key_variable.as_ref();
        Ok(variable.and_then(|name| std::env::var(name).ok()))
    }
}

impl Reader for Server {
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        if let Some(last) = self.last.as_ref().filter(|l| l.at.elapsed() < self.config.interval()) {
            for sample in &last.values {
                samples.add(sample.clone());
            }
            for problem in &last.problems {
                samples.problem(problem.clone());
            }
            return Ok(Presence::Present);
        }
        if self.is_foreign_until.is_some_and(|until| Instant::now() < until) {
            return Ok(Presence::Absent);
        }
        let key = self.key(root)?;
        let Some(state) = self.inspect(root, key.as_deref(), samples) else {
            return Ok(Presence::Absent);
        };
        let is_up = !matches!(state, "down" | "loading");
        samples.record(&UP, [&*self.name], f64::from(u8::from(is_up)));
        samples.record(&STATE, [&*self.name, state], 1.0);
        self.last = Some(Last {
            at: Instant::now(),
            values: samples.values().to_vec(),
            problems: samples.problems().to_vec(),
        });
        Ok(Presence::Present)
    }
}

/// The state of a server that has several models: what hides figures of one of them, else ready
/// where one is, or none is loaded.
fn worst(states: &[State]) -> State {
    let hiding = ["unauthorized", "metrics_disabled", "unreachable", "loading"];
    let hidden = hiding.into_iter().find(|state| states.contains(state));
    let all_sleep = !states.is_empty() && states.iter().all(|state| *state == "sleeping");
    hidden.unwrap_or(if all_sleep { "sleeping" } else { "ready" })
}
