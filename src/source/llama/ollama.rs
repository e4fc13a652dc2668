//! The llama-servers that Ollama starts: it tells which models it runs (`/api/ps`) and not at which
//! ports, so those are read from the command lines of its children.
//!
//! From Ollama's source of August 2026 (`llm/server.go`); no Ollama was tried here.

use super::text::Child;
use crate::root::Root;

/// The program that Ollama starts, and the flag behind which its port stands.
const PROGRAM: &str = "llama-server";
const PORT: &str = "--port";

/// Whether an answer to `/api/version` is Ollama's.
pub fn is_ollama(body: &str) -> bool {
    let value: Option<serde_json::Value> = crate::json::from_str(body).ok();
    value.is_some_and(|value| {
        value.get("version").is_some_and(serde_json::Value::is_string)
            && value.as_object().is_some_and(|keys| keys.len() == 1)
    })
}

/// Its children, of which `models` are loaded. Which child has which model nobody tells.
pub(super) fn children(root: &Root, mut models: Vec<String>) -> Vec<Child> {
    let processes = root.list("/proc/").unwrap_or_default();
    let processes = processes.iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let found: Vec<String> = processes.filter_map(|process| child(root, process)).collect();
    let why = "Ollama does not tell its port, and no llama-server that Ollama started is seen for \
               it: it runs in a container or under another name";
    let unseen = |model| Child { model, address: Err(why.to_owned()) };
    let missing = match (found.len(), models.len()) {
        (0, _) => std::mem::take(&mut models).into_iter().map(unseen).collect(),
        (found, loaded) if found < loaded => vec![unseen(models.join(" or "))],
        _ => Vec::new(),
    };
    let model = match &models[..] {
        [only] => only.clone(),
        _ => String::new(),
    };
    let seen =
        found.into_iter().map(|address| Child { model: model.clone(), address: Ok(address) });
    seen.chain(missing).collect()
}

fn child(root: &Root, process: &str) -> Option<String> {
    let text = |process: &str, file: &str| {
        let bytes = root.private(&format!("/proc/{process}/{file}")).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    if text(process, "comm")?.trim() != PROGRAM {
        return None;
    }
    let status = text(process, "status")?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim();
    if text(parent, "comm")?.trim() != "ollama" {
        return None;
    }
    port(&text(process, "cmdline")?).map(|port| format!("http://127.0.0.1:{port}"))
}

/// The port in a command line whose words end with NUL.
pub fn port(command_line: &str) -> Option<u16> {
    let mut words = command_line.split('\0');
    words.find(|word| *word == PORT)?;
    words.next()?.parse().ok()
}
