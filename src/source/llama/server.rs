//! One llama-server, or what stands before several of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ollama;
use super::speed::{Baseline, Progress, running};
use super::text::{self, Props};
use super::{
    CACHED_TOKENS, CONTEXT_USED, DECODES, DRAFT_ACCEPTED, DRAFT_TOKENS, GENERATED_SPEED,
    GENERATED_TOKENS, GENERATION_SECONDS, MODEL_INFO, PROMPT_SECONDS, PROMPT_SPEED, PROMPT_TOKENS,
    REQUESTS, STATE, UP,
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
type Children = fn(&str) -> Option<Vec<String>>;

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
    client: Client,
    /// Whether nobody named it, so that it is no failure where it is not there.
    is_guess: bool,
    /// Until when something else that listens there is left alone.
    is_foreign_until: Option<Instant>,
    /// What was read last; it is shown until the interval is over.
    last: Option<Last>,
    /// What each model of each server had done, with the process that said so.
    progress: BTreeMap<String, (Option<String>, Baseline)>,
}

impl Server {
    pub(super) fn new(config: Llama, is_guess: bool) -> Self {
        let name = config.server().to_owned();
        let client = Client::new(&config.url, config.deadline());
        Self {
            config,
            name,
            client,
            is_guess,
            is_foreign_until: None,
            last: None,
            progress: BTreeMap::new(),
        }
    }

    /// Which state a server is in; none where there is none.
    fn look(&mut self, root: &Root, key: Option<&str>, samples: &mut Samples) -> Option<State> {
        let health = match self.client.get("/health", key) {
            Ok(health) => health,
            Err(error) => {
                if self.is_guess {
                    return None;
                }
                samples.problem(error);
                return Some("down");
            }
        };
        match health.status {
            200 if is_health(&health.body) => {}
            503 if health.body.contains("Loading model") => return Some("loading"),
            _ => return self.look_behind(root, &health, key, samples),
        }
        let props = match self.client.get("/props", key) {
            Ok(answer) => answer,
            Err(error) => {
                samples.problem(error);
                return Some("ready");
            }
        };
        match (props.status, text::props(&props.body)) {
            (200, Some(props)) if props.is_router => Some(self.read_router(key, samples)),
            (200, Some(props)) => Some(self.read_model(None, None, &props, key, samples)),
            (401 | 403, _) => {
                samples.problem(self.unauthorized("/props"));
                Some("unauthorized")
            }
            (503, _) => Some("loading"),
            (status, _) => {
                samples.problem(self.unexpected("/props", status));
                Some("ready")
            }
        }
    }

    /// llama-swap and Lemonade answer otherwise and tell which llama-servers are behind them;
    /// Ollama has started its own.
    fn look_behind(
        &mut self,
        root: &Root,
        health: &Answer,
        key: Option<&str>,
        samples: &mut Samples,
    ) -> Option<State> {
        let ways = [("/running", text::running as Children), ("/v1/health", text::backends)];
        for (path, read) in ways {
            let answer = self.client.get(path, key).ok().filter(|answer| answer.status == 200);
            if let Some(addresses) = answer.and_then(|answer| read(&answer.body)) {
                return Some(self.read_children(&addresses, key, samples));
            }
        }
        let version = self.client.get("/api/version", key).ok();
        if version.is_some_and(|answer| ollama::is_ollama(&answer.body)) {
            return Some(self.read_children(&ollama::children(root), key, samples));
        }
        if self.is_guess {
            self.is_foreign_until = Some(Instant::now() + FOREIGN);
            return None;
        }
        samples.problem(self.unexpected("/health", health.status));
        Some("down")
    }

    fn read_children(
        &mut self,
        addresses: &[String],
        key: Option<&str>,
        samples: &mut Samples,
    ) -> State {
        let mut states = Vec::new();
        for address in addresses {
            let client = Client::new(address, self.config.deadline());
            // The key is for whom the user named, and not for whom an answer names.
            let key = key.filter(|_| client.is_on_host_of(&self.client));
            let props = client.get("/props", key).ok().filter(|answer| answer.status == 200);
            let props = props.and_then(|answer| text::props(&answer.body));
            if let Some(props) = props.filter(|props| !props.is_router) {
                states.push(self.read_model(Some(&client), None, &props, key, samples));
            }
        }
        worst(&states)
    }

    /// The models that a router has loaded; none is loaded by asking.
    fn read_router(&mut self, key: Option<&str>, samples: &mut Samples) -> State {
        let models = match self.client.get("/models", key) {
            Ok(answer) if answer.status == 200 => text::loaded_models(&answer.body),
            Ok(answer) if answer.status == 401 => {
                samples.problem(self.unauthorized("/models"));
                return "unauthorized";
            }
            Ok(_) => None,
            Err(error) => {
                samples.problem(error);
                return "ready";
            }
        };
        let Some(models) = models else {
            samples.problem(ReadError::garbage(self.client.place("/models"), "no list of models"));
            return "ready";
        };
        let mut states = Vec::new();
        for model in models {
            let query = text::query(&model);
            let props = self.client.get(&format!("/props?{query}"), key).ok();
            let props = props.filter(|answer| answer.status == 200);
            let props = props.and_then(|answer| text::props(&answer.body)).unwrap_or_default();
            let props = Props { model, ..props };
            states.push(self.read_model(None, Some(&query), &props, key, samples));
        }
        worst(&states)
    }

    /// Reads one model. `query` chooses it where the server has several, and `behind` is the
    /// server that has it where it is another one.
    fn read_model(
        &mut self,
        behind: Option<&Client>,
        query: Option<&str>,
        props: &Props,
        key: Option<&str>,
        samples: &mut Samples,
    ) -> State {
        let Props { model, build, context, .. } = props;
        samples.record(&MODEL_INFO, [&self.name, model, build, context], 1.0);
        // It would count as a question to the model in some builds.
        if props.is_sleeping {
            return "sleeping";
        }
        let client = behind.unwrap_or(&self.client);
        let path = |path: &str| query.map_or(path.to_owned(), |query| format!("{path}?{query}"));
        let answer = match client.get(&path("/metrics"), key) {
            Ok(answer) => answer,
            Err(error) => {
                samples.problem(error);
                return "ready";
            }
        };
        match answer.status {
            200 => {}
            401 | 403 => {
                samples.problem(self.unauthorized("/metrics"));
                return "unauthorized";
            }
            501 => {
                let text = "start llama-server with --metrics, or LLAMA_ARG_ENDPOINT_METRICS=1";
                samples.problem(ReadError::new(client.place("/metrics"), Reason::Disabled, text));
                return "metrics_disabled";
            }
            503 => return "loading",
            status => {
                samples.problem(self.unexpected("/metrics", status));
                return "ready";
            }
        }
        let at = Instant::now();
        let values = text::metrics(&answer.body);
        if values.is_empty() {
            let place = client.place("/metrics");
            samples.problem(ReadError::garbage(place, "no metrics of a llama-server"));
            return "ready";
        }
        let labels = [&*self.name, model];
        for (name, metric) in COUNTERS {
            samples.record(metric, labels, values.get(name).copied());
        }
        for (name, state) in REQUEST_STATES {
            samples.record(&REQUESTS, [labels[0], labels[1], state], values.get(name).copied());
        }
        let is_busy = values.get("requests_processing").is_some_and(|count| *count > 0.0);
        // A question about slots wakes a sleeping model and keeps an idle one awake.
        let slots = if is_busy && self.config.slots {
            let slots = client.get(&path("/slots"), key).ok();
            slots.filter(|answer| answer.status == 200).and_then(|a| text::slots(&a.body))
        } else {
            None
        };
        for slot in slots.iter().flatten().filter(|slot| slot.is_processing) {
            let labels = [labels[0], labels[1], &slot.id.to_string()];
            samples.record(&CONTEXT_USED, labels, slot.context_used);
        }
        let number = |name: &str| values.get(name).copied();
        if let Some((prompt, ended)) =
            number("prompt_tokens_total").zip(number("tokens_predicted_total"))
        {
            let running =
                if is_busy { slots.map(|slots| running(&slots)) } else { Some(BTreeMap::new()) };
            let progress = Progress { at, prompt, ended, running };
            // Two servers may have a model of the same name, and each has its own count.
            let of = format!("{} {model}", client.base());
            self.record_speed(model, of, answer.process, progress, samples);
        }
        "ready"
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

    fn unauthorized(&self, path: &str) -> ReadError {
        let text = "the server wants a key: name it with api_key_file or api_key_variable";
        ReadError::new(self.client.place(path), Reason::Unauthorized, text)
    }

    fn unexpected(&self, path: &str, status: u16) -> ReadError {
        let text = match status {
            300..400 => format!("status {status}: it redirects; name where it redirects to"),
            _ => format!("status {status}, and no answer of a llama-server"),
        };
        ReadError::unsupported(self.client.place(path), text)
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
        let Some(state) = self.look(root, key.as_deref(), samples) else {
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

/// The state of a server that has several models: what hides figures of one of them, else ready.
fn worst(states: &[State]) -> State {
    let hiding = ["unauthorized", "metrics_disabled", "loading"];
    hiding.into_iter().find(|state| states.contains(state)).unwrap_or("ready")
}

fn is_health(body: &str) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
    value.is_some_and(|value| value["status"] == "ok" && value.get("all_models_loaded").is_none())
}
