//! Which server is asked, and for which model.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::http::{Answer, Client};
use crate::plan::Refusal;
use crate::record::{KEY_VARIABLE, key_of};
use crate::redact::keys;
use crate::root::ReadError;
use crate::run::campaign::{Endpoint, Server};
use crate::source::llama::{ollama, text};

/// Where a llama-server is unless told otherwise.
const LLAMA_SERVER: &str = "http://127.0.0.1:8080";

/// Where Ollama is unless told otherwise.
const OLLAMA: &str = "http://127.0.0.1:11434";

/// How long an answer may take: a server may be busy with a prompt.
const DEADLINE: Duration = Duration::from_secs(15);

/// What the user says of the server.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The address of its API.
    pub endpoint: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// A file whose first line is the server's key; else it is in the environment, or there is none.
    pub api_key_file: Option<PathBuf>,
    /// For how long nothing may listen there before an eval is ended.
    pub timeout: Duration,
}

/// The server and the model that evals ask: the one that is named, else a llama-server, else Ollama.
///
/// # Errors
///
/// Where none answers, where it wants a key, and where the model is not there or several are.
pub fn find(wanted: &Wanted) -> Result<Endpoint, Refusal> {
    let whole = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
    let file = wanted.api_key_file.as_ref().map(whole);
    let key = match &file {
        Some(file) => Some(key_of(file)?),
        None => std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()),
    };
    let (url, server) = match &wanted.endpoint {
        Some(named) => {
            let url = completed(named)?;
            let server = kind(base(&url), key.as_deref());
            (url, server)
        }
        None => guess(key.as_deref())?,
    };
    let model = model(&url, wanted.model.as_deref(), key.as_deref())?;
    let file_of_model = match server {
        Server::LlamaServer => model_file(base(&url), key.as_deref()),
        Server::Ollama | Server::Other => None,
    };
    Ok(Endpoint {
        url,
        server,
        model,
        file: file_of_model,
        api_key_file: file.map(|file| file.to_string_lossy().into_owned()),
        timeout_seconds: wanted.timeout.as_secs_f64(),
    })
}

/// An address as users give it with what its clients expect: `http://host:8080` has its API at
/// `http://host:8080/v1`.
fn completed(named: &str) -> Result<String, Refusal> {
    let url = named.trim_end_matches('/');
    if keys::hide(named) != named {
        return Err(Refusal(
            "--endpoint: has a password, which would be archived; give the key in OPENAI_API_KEY or \
             --api-key-file"
                .to_owned(),
        ));
    }
    let Some((_, rest)) = url
        .split_once("://")
        .filter(|(scheme, rest)| matches!(*scheme, "http" | "https") && !rest.is_empty())
    else {
        return Err(Refusal(format!(
            "--endpoint {named}: expected an address as {LLAMA_SERVER}/v1"
        )));
    };
    Ok(if rest.contains('/') { url.to_owned() } else { format!("{url}/v1") })
}

fn base(url: &str) -> &str {
    url.strip_suffix("/v1").unwrap_or(url)
}

fn get(base: &str, path: &str, key: Option<&str>) -> Result<Answer, ReadError> {
    Client::new(base, DEADLINE).get(path, key)
}

/// What answers at an address.
fn kind(base: &str, key: Option<&str>) -> Server {
    let answers = |path: &str, is: &dyn Fn(&str) -> bool| {
        get(base, path, key).is_ok_and(|answer| answer.status == 200 && is(&answer.body))
    };
    let is_llama = |body: &str| text::props(body).is_some();
    if answers("/props", &is_llama) {
        Server::LlamaServer
    } else if answers("/api/version", &ollama::is_ollama) {
        Server::Ollama
    } else {
        Server::Other
    }
}

/// A llama-server where it usually is, else Ollama.
fn guess(key: Option<&str>) -> Result<(String, Server), Refusal> {
    match get(LLAMA_SERVER, "/health", key) {
        Ok(answer) if answer.status == 200 => {
            return Ok((format!("{LLAMA_SERVER}/v1"), Server::LlamaServer));
        }
        Ok(answer) if answer.status == 503 => {
            return Err(Refusal(format!(
                "{LLAMA_SERVER}: is loading its model; wait until `curl {LLAMA_SERVER}/health` \
                 says ok"
            )));
        }
        _ => {}
    }
    let version = get(OLLAMA, "/api/version", None);
    if version.is_ok_and(|answer| ollama::is_ollama(&answer.body)) {
        return Ok((format!("{OLLAMA}/v1"), Server::Ollama));
    }
    Err(Refusal(format!(
        "no server of models: neither a llama-server at {LLAMA_SERVER} nor Ollama at {OLLAMA} \
         answers; start one, as `llama-server -m model.gguf --metrics`, or name it with --endpoint"
    )))
}

/// The model that is asked for, as the server calls it.
fn model(url: &str, wanted: Option<&str>, key: Option<&str>) -> Result<String, Refusal> {
    let place = format!("{url}/models");
    let answer = get(url, "/models", key).map_err(|error| {
        Refusal(format!("{error}; start the server, or name it with --endpoint"))
    })?;
    match answer.status {
        200 => {}
        401 | 403 => {
            return Err(Refusal(format!(
                "{place}: wants a key; set {KEY_VARIABLE}, or name a file with --api-key-file"
            )));
        }
        503 => {
            return Err(Refusal(format!("{place}: is loading its model; wait until it is there")));
        }
        status => {
            return Err(Refusal(format!(
                "{place}: answered {status}; --endpoint is the address below which /models lies"
            )));
        }
    }
    let names = names(&answer.body)
        .ok_or_else(|| Refusal(format!("{place}: the answer is no list of models")))?;
    match (wanted, &names[..]) {
        (Some(wanted), _) if names.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => Err(Refusal(format!(
            "--model {wanted}: is not there; the server has {}",
            names.join(", ")
        ))),
        (None, [name]) => Ok(name.clone()),
        (None, []) => Err(Refusal(format!("{place}: the server has no model; load one"))),
        (None, _) => Err(Refusal(format!(
            "{place}: there are several models, say which with --model: {}",
            names.join(", ")
        ))),
    }
}

fn names(body: &str) -> Option<Vec<String>> {
    let value: Value = serde_json::from_str(body).ok()?;
    let models = value.get("data")?.as_array()?;
    models.iter().map(|model| Some(model.get("id")?.as_str()?.to_owned())).collect()
}

/// The model's file, where the server says it and this machine has it.
fn model_file(base: &str, key: Option<&str>) -> Option<String> {
    let answer = get(base, "/props", key).ok().filter(|answer| answer.status == 200)?;
    let props: Value = serde_json::from_str(&answer.body).ok()?;
    let path = props.get("model_path")?.as_str()?;
    let is_here = Path::new(path).is_absolute() && Path::new(path).is_file();
    is_here.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{base, completed, names};

    #[test]
    fn addresses_get_the_path_that_clients_expect() {
        let is = |named: &str, url: &str| assert_eq!(completed(named).unwrap(), url);
        is("http://h:8080", "http://h:8080/v1");
        is("http://h:8080/", "http://h:8080/v1");
        is("http://h:8080/v1/", "http://h:8080/v1");
        is("https://h/api/v3", "https://h/api/v3");
        assert_eq!(base("http://h:8080/v1"), "http://h:8080");
        for wrong in ["localhost:8080", "ftp://h", "http://"] {
            assert!(completed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn models_are_read() {
        let body = r#"{"data": [{"id": "a"}, {"id": "b"}], "models": []}"#;
        assert_eq!(names(body), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(names("[]"), None);
    }
}
