//! The backends as text for a terminal: which are there, and why others are not.

use serde::Serialize;

use super::terminal::{plain_table, trimmed};
use crate::plan::backend::{Absent, Backend, Capabilities};

/// A backend in a list.
#[derive(Debug, Serialize)]
pub struct ListedBackend {
    /// What is known of it.
    #[serde(flatten)]
    pub backend: Backend,
    /// Whether its llama-bench answers.
    pub available: bool,
    /// Why it does not.
    pub reason: Option<String>,
}

impl ListedBackend {
    /// A backend with what was found of it.
    pub fn new(backend: Backend, found: Result<Capabilities, Absent>) -> Self {
        let reason = found.err().map(|absent| absent.reason);
        Self { backend, available: reason.is_none(), reason }
    }
}

/// A list of backends.
pub fn backends(backends: &[ListedBackend]) -> String {
    let mut table = plain_table(&["backend", "there", "description", "why not"]);
    for listed in backends {
        table.add_row([
            listed.backend.name.as_str(),
            if listed.available { "yes" } else { "no" },
            &listed.backend.description,
            listed.reason.as_deref().unwrap_or_default(),
        ]);
    }
    trimmed(&table)
}
