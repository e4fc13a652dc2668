//! What a llama-server says, as pure functions on text.
//!
//! Builds b8672 to b11549 of llama.cpp were looked at; `tools/server/README.md` there describes
//! the endpoints.

use std::collections::BTreeMap;

use serde_json::Value;

/// Slots of a server and models behind one that are looked at: no machine of this kind has more.
const MOST: usize = 256;

/// How its families begin.
const PREFIX: &str = "llamacpp:";

/// The families of `/metrics` without their prefix. A value that is not finite, which old builds
/// print where a time rounds to 0, is left out; so is one with labels.
pub fn metrics(body: &str) -> BTreeMap<String, f64> {
    // Some builds of November 2025 printed the text as one string of JSON.
    let unquoted =
        body.trim_start().starts_with('"').then(|| crate::json::from_str(body.trim()).ok());
    let body = unquoted.flatten().unwrap_or_else(|| body.to_owned());
    let mut values = BTreeMap::new();
    for line in body.lines() {
        let Some((name, value)) = line.strip_prefix(PREFIX).and_then(|l| l.split_once(' ')) else {
            continue;
        };
        if name.contains('{') {
            continue;
        }
        let value = value.split_whitespace().next().and_then(|value| value.parse::<f64>().ok());
        if let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) {
            values.insert(name.to_owned(), value);
        }
    }
    values
}

/// What `/props` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Props {
    /// The model's alias, else its file without directory and ending.
    pub model: String,
    /// The build, as `b11434-b11434`.
    pub build: String,
    /// Tokens of context of one slot; empty where it is not told.
    pub context: String,
    /// Whether the model was unloaded because nobody asked it anything.
    pub is_sleeping: bool,
    /// Whether it says that at all, as builds of llama.cpp do since they can sleep (b7500 or so).
    pub tells_sleep: bool,
    /// Whether the server starts others and passes requests on to them.
    pub is_router: bool,
}

/// Reads `/props`; none where it is something else.
pub fn props(body: &str) -> Option<Props> {
    let value: Value = crate::json::from_str(body).ok()?;
    let settings = value.get("default_generation_settings")?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    // Builds differ in whether the alias of who gives none is the path.
    let name = text("model_alias").or_else(|| text("model_path")).unwrap_or_default();
    let name = match name.strip_suffix(".gguf") {
        Some(path) => path.rsplit('/').next().unwrap_or(path),
        None => name,
    };
    let context = settings.get("n_ctx").and_then(Value::as_u64).filter(|tokens| *tokens > 0);
    Some(Props {
        model: name.to_owned(),
        build: text("build_info").unwrap_or_default().to_owned(),
        context: context.map_or_else(String::new, |tokens| tokens.to_string()),
        is_sleeping: value.get("is_sleeping").and_then(Value::as_bool) == Some(true),
        tells_sleep: value.get("is_sleeping").is_some(),
        is_router: text("role") == Some("router"),
    })
}

/// The first build of llama.cpp that was seen to answer `/metrics` without counting that as work:
/// its model falls asleep although it is asked, and is not woken by it (pull request 27376). b10229
/// does neither. xllamacpp's wheels of both, and of two more builds, were tried.
const METRICS_ARE_FREE: u32 = 10_566;

impl Props {
    /// Whether the server may be asked for its metrics as often as one likes. A build that does not
    /// say which it is may be an old one.
    pub fn has_free_metrics(&self) -> bool {
        let number = self.build.strip_prefix('b').and_then(|build| build.split('-').next());
        let number = number.and_then(|number| number.parse::<u32>().ok());
        self.tells_sleep && number.is_some_and(|number| number >= METRICS_ARE_FREE)
    }
}

/// What `/health` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Ok,
    /// Its model was unloaded because nobody asked it anything, as `ik_llama.cpp` says it (pull
    /// request 2383).
    Sleeping,
}

/// Reads `/health` of a llama-server; none where it is something else.
pub fn health(body: &str) -> Option<Health> {
    let value: Value = crate::json::from_str(body).ok()?;
    let is_lemonade = value.get("all_models_loaded").is_some();
    let sleeps = ["sleeping", "is_sleeping"].iter().any(|key| value[key] == true);
    match value.get("status")?.as_str()? {
        _ if is_lemonade => None,
        "sleeping" => Some(Health::Sleeping),
        "ok" if sleeps => Some(Health::Sleeping),
        "ok" => Some(Health::Ok),
        _ => None,
    }
}

/// A slot of `/slots`.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Its number.
    pub id: u64,
    /// The task that it works on, or has worked on.
    pub task: Option<u64>,
    /// Whether it works.
    pub is_processing: bool,
    /// Tokens that the task has generated.
    pub generated: f64,
    /// Tokens that the slot holds over those that it can hold; none where it is not told, as in
    /// b8672.
    pub context_used: Option<f64>,
}

/// Reads `/slots`; none where it is something else.
pub fn slots(body: &str) -> Option<Vec<Slot>> {
    let value: Value = crate::json::from_str(body).ok()?;
    value.as_array()?.iter().take(MOST).map(slot).collect()
}

fn slot(value: &Value) -> Option<Slot> {
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    // An array in every build that was looked at, and an object in the README.
    let next = value.get("next_token");
    let next = next.map(|next| next.get(0).unwrap_or(next));
    let generated = next.and_then(|next| next.get("n_decoded")).and_then(Value::as_f64);
    let held = number("n_prompt_tokens").zip(number("n_ctx").filter(|size| *size > 0));
    Some(Slot {
        id: number("id")?,
        task: number("id_task"),
        is_processing: value.get("is_processing")?.as_bool()?,
        generated: generated.unwrap_or(0.0),
        context_used: held.map(|(tokens, size)| tokens as f64 / size as f64),
    })
}

/// A model that a router has in memory, or had until it fell asleep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its name.
    pub model: String,
    /// Whether it sleeps.
    pub is_sleeping: bool,
}

/// The models that a router has loaded (`/models`).
pub fn loaded_models(body: &str) -> Option<Vec<Loaded>> {
    let value: Value = crate::json::from_str(body).ok()?;
    let models = value.get("data")?.as_array()?.iter().take(MOST);
    let loaded = models.filter_map(|model| {
        let is_sleeping = match model["status"]["value"].as_str()? {
            "loaded" => false,
            "sleeping" => true,
            _ => return None,
        };
        Some(Loaded { model: model.get("id")?.as_str()?.to_owned(), is_sleeping })
    });
    Some(loaded.collect())
}

/// The models of a server that has none awake, and at least one that sleeps (`/v1/models`); none
/// where one is awake, or nothing is said of it.
pub fn sleeping_models(body: &str) -> Option<Vec<String>> {
    let value: Value = crate::json::from_str(body).ok()?;
    let mut sleeping = Vec::new();
    for model in value.get("data")?.as_array()?.iter().take(MOST) {
        let status = model.get("status")?;
        match status.get("value").unwrap_or(status).as_str()? {
            "sleeping" => sleeping.push(name(model, "id")),
            "unloaded" | "downloaded" => {}
            _ => return None,
        }
    }
    (!sleeping.is_empty()).then_some(sleeping)
}

/// A model behind llama-swap, Lemonade or Ollama.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its name; empty where nobody tells it.
    pub model: String,
    /// Where the server of this model is, or why that is not known.
    pub address: Result<String, String>,
}

/// The servers that llama-swap (`/running`) has started and that are ready.
pub fn running(body: &str) -> Option<Vec<Child>> {
    let value: Value = crate::json::from_str(body).ok()?;
    let running = value.get("running")?.as_array()?.iter().take(MOST);
    let ready = running.filter(|server| server["state"] == "ready");
    let child = |server: &Value| {
        let why = "llama-swap does not tell its address; newer ones do, in `proxy` of /running";
        Child { model: name(server, "model"), address: address(server, "proxy").ok_or(why.into()) }
    };
    Some(ready.map(child).collect())
}

/// The servers behind Lemonade (`/v1/health`).
pub fn backends(body: &str) -> Option<Vec<Child>> {
    let value: Value = crate::json::from_str(body).ok()?;
    let loaded = value.get("all_models_loaded")?.as_array()?.iter().take(MOST);
    let child = |server: &Value| {
        let url = address(server, "backend_url").map(|url| {
            let url = url.trim_end_matches('/');
            url.strip_suffix("/v1").unwrap_or(url).to_owned()
        });
        let address = match server.get("recipe").and_then(Value::as_str) {
            Some("llamacpp" | "vllm") | None => {
                url.ok_or("Lemonade does not tell its address".to_owned())
            }
            Some(recipe) => {
                Err(format!("its recipe is {recipe}, whose server has no metrics that halo knows"))
            }
        };
        Child { model: name(server, "model_name"), address }
    };
    Some(loaded.map(child).collect())
}

/// The names of the models that Ollama has loaded (`/api/ps`).
pub fn ollama_models(body: &str) -> Option<Vec<String>> {
    let value: Value = crate::json::from_str(body).ok()?;
    Some(
        value
            .get("models")?
            .as_array()?
            .iter()
            .take(MOST)
            .map(|model| name(model, "name"))
            .collect(),
    )
}

fn name(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn address(value: &Value, key: &str) -> Option<String> {
    let url = value.get(key)?.as_str()?;
    url.starts_with("http").then(|| url.to_owned())
}

/// A model's name as a part of a query.
pub fn query(model: &str) -> String {
    let pairs = [("model", model), ("autoload", "false")];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
