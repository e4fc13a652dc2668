//! One server, or one model of a router, that is asked, and how a failure to ask it reads.

use super::watch::{Connections, connections};
use crate::http::{Answer, Client};
use crate::root::{ReadError, Reason, Root};

/// Who is asked: the named server or one behind it, and which of a router's models.
pub(super) struct Target<'a> {
    pub(super) root: &'a Root,
    pub(super) client: &'a Client,
    pub(super) key: Option<&'a str>,
    /// The model that it has, where it stands behind another server.
    pub(super) model: Option<&'a str>,
    /// What chooses a model of a router.
    pub(super) query: Option<String>,
}

impl Target<'_> {
    pub(super) fn get(&self, path: &str) -> Result<Answer, ReadError> {
        let answer = match &self.query {
            Some(query) => self.client.get(&format!("{path}?{query}"), self.key),
            None => self.client.get(path, self.key),
        };
        answer.map_err(|error| self.error(path, error.reason(), error.detail()))
    }

    /// What tells it apart from others.
    pub(super) fn id(&self) -> String {
        format!("{} {}", self.client.base(), self.query.as_deref().unwrap_or_default())
    }

    /// A failure to read it, which names the model where it stands behind another server.
    pub(super) fn error(&self, path: &str, reason: Reason, detail: &str) -> ReadError {
        let Some(model) = self.model.filter(|model| !model.is_empty()) else {
            return ReadError::new(self.client.place(path), reason, detail);
        };
        // Several models of a router are asked at one path, and each failure is told.
        let place = format!("{}#{model}", self.client.place(path).display());
        let hint = match reason {
            Reason::Refused | Reason::Timeout => {
                " from here; where it runs in a container, publish its port or give the container \
                 the host's network"
            }
            _ => "",
        };
        ReadError::new(place, reason, format!("model {model}: {detail}{hint}"))
    }

    pub(super) fn unauthorized(&self, path: &str) -> ReadError {
        let text = "the server wants a key: name it with api_key_file or api_key_variable";
        self.error(path, Reason::Unauthorized, text)
    }

    pub(super) fn unexpected(&self, path: &str, status: u16) -> ReadError {
        let text = match status {
            300..400 => format!("status {status}: it redirects; name where it redirects to"),
            _ => format!("status {status}, and no answer of a llama-server"),
        };
        self.error(path, Reason::Unsupported, &text)
    }

    pub(super) fn connections(&self) -> Option<Connections> {
        connections(self.root, self.client.port()?)
    }
}
