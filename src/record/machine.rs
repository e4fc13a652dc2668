//! What tells this machine from all others without naming it.

use ring::hmac;

use crate::hash::hexadecimal;

/// The identifier that systemd gives a machine; machine-id(5) asks to hand out none but hashes of it.
const MACHINE: &str = "/etc/machine-id";

/// The hash of a run's identifier with this machine's as the key, in hexadecimal digits; none where
/// the machine has none, as in some containers. Nobody elsewhere can make it.
pub(super) fn of(run: &str) -> Option<String> {
    let id = std::fs::read_to_string(MACHINE).ok().filter(|id| id.trim().len() == 32)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, id.trim().as_bytes());
    Some(hexadecimal(hmac::sign(&key, run.as_bytes()).as_ref()))
}
