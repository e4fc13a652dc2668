//! How a configuration is refused: always as one line that names the file and the key.

use std::fmt::Display;
use std::path::Path;

/// Why a web configuration was refused.
///
/// It reads as one line: the file, the key, its value, what was expected and what to do.
/// Secrets (keys, password hashes) never stand in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebConfigError(String);

/// A refusal whose file is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::serve) struct Refusal(String);

impl Refusal {
    /// Refuses what stands at `key`.
    pub(in crate::serve) fn at(key: &str, why: impl Display) -> Self {
        Self(format!("{key}: {why}"))
    }

    /// Refuses the file as a whole.
    pub(in crate::serve) fn whole(why: impl Display) -> Self {
        Self(why.to_string())
    }

    pub(in crate::serve) fn of_file(self, path: &Path) -> WebConfigError {
        // Messages of libraries may run over several lines; a log line and a refusal are one.
        let line = self.0.split_whitespace().collect::<Vec<_>>().join(" ");
        WebConfigError(format!("{}: {line}", path.display()))
    }
}
