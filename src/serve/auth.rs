//! Basic authentication against bcrypt hashes.
//!
//! A bcrypt comparison takes a good part of a second of one core by design.
//! So comparisons run off the async thread and one at a time: a flood of wrong passwords costs one
//! core, not all, and never the thread that serves.
//! A pair that was right is remembered as a keyed digest, so that a scraper costs one comparison.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::task::spawn_blocking;

use super::web_config::Refusal;

/// How many right passwords are remembered: far more than a machine has scrapers.
const REMEMBERED: usize = 100;

/// The users that may enter, each with the bcrypt hash of the password; nobody: all may.
#[derive(Default)]
pub(super) struct Users(BTreeMap<String, String>);

impl Users {
    /// Checks the form of every hash, so that a wrong one is found when the file is loaded.
    pub(super) fn new(users: BTreeMap<String, String>) -> Result<Self, Refusal> {
        for (name, hash) in &users {
            if !is_bcrypt(hash) {
                let why = "this is not a bcrypt hash ($2a$, $2b$ or $2y$, a cost from 04 to \
                           31, 60 characters); \
                           make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'";
                return Err(Refusal::at(&format!("basic_auth_users.{name}"), why));
            }
        }
        Ok(Self(users))
    }
}

fn is_bcrypt(hash: &str) -> bool {
    let known = ["$2a$", "$2b$", "$2y$"].iter().any(|version| hash.starts_with(version));
    // The package reads any cost and fails with a wrong one only when it compares.
    let cost = |parts: bcrypt::HashParts| (4..=31).contains(&parts.get_cost());
    known && bcrypt::HashParts::from_str(hash).is_ok_and(cost)
}

/// Decides who may enter, and remembers whom it let in.
pub(super) struct Doorkeeper {
    /// Absent where the system has no randomness: then nothing is remembered.
    key: Option<hmac::Key>,
    right: Mutex<VecDeque<Vec<u8>>>,
    comparing: Arc<tokio::sync::Mutex<()>>,
}

impl Doorkeeper {
    pub(super) fn new() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            right: Mutex::default(),
            comparing: Arc::default(),
        }
    }

    /// Whether a request with these headers may enter.
    pub(super) async fn admits(&self, users: &Users, headers: &HeaderMap) -> bool {
        // An unknown user is compared with somebody's hash all the same: otherwise the time of
        // the answer would tell which names exist.
        let Some(somebody) = users.0.values().next() else { return true };
        let Some(credentials) = Credentials::from(headers) else { return false };
        let known = str::from_utf8(&credentials.user).ok().and_then(|name| users.0.get(name));
        let hash = known.unwrap_or(somebody).clone();
        let digest = known.and_then(|hash| self.digest(&credentials, hash));
        if self.remembers(digest.as_ref()) {
            return true;
        }
        let turn = Arc::clone(&self.comparing).lock_owned().await;
        // The one before may have asked the same.
        if self.remembers(digest.as_ref()) {
            return true;
        }
        let compared = spawn_blocking(move || {
            // The turn lives as long as the work: a client that hangs up does not start a second.
            let _turn = turn;
            bcrypt::verify(&credentials.password, &hash).unwrap_or(false)
        });
        let right = compared.await.unwrap_or(false) && known.is_some();
        if right {
            self.remember(digest);
        }
        right
    }

    /// A digest of all that decides, so that a changed hash is compared anew.
    fn digest(&self, credentials: &Credentials, hash: &str) -> Option<Vec<u8>> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        for part in [&credentials.user, hash.as_bytes(), &credentials.password] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        Some(context.sign().as_ref().to_vec())
    }

    fn remembers(&self, digest: Option<&Vec<u8>>) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        digest.is_some_and(|digest| right.contains(digest))
    }

    fn remember(&self, digest: Option<Vec<u8>>) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED {
            right.pop_front();
        }
        right.extend(digest);
    }
}

/// What a client says of itself; bytes, because a password need not be UTF-8.
struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Credentials {
    fn from(headers: &HeaderMap) -> Option<Self> {
        let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut user = STANDARD.decode(encoded).ok()?;
        let colon = user.iter().position(|byte| *byte == b':')?;
        let password = user.split_off(colon + 1);
        user.truncate(colon);
        Some(Self { user, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(cost: u32) -> Users {
        let hash = bcrypt::hash("secret", cost).unwrap();
        Users::new(BTreeMap::from([("alice".to_owned(), hash)])).unwrap()
    }

    fn basic(pair: &[u8]) -> HeaderMap {
        let value = format!("bAsIc {}", STANDARD.encode(pair)).parse().unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[tokio::test]
    async fn only_a_right_pair_is_remembered_and_only_with_its_hash() {
        let keeper = Doorkeeper::new();
        let remembered = || keeper.right.lock().unwrap().len();
        let users = users(4);
        for pair in [b"alice:wrong".as_slice(), b"mallory:secret", b":", b"alice:\xff", b"\xff:"] {
            assert!(!keeper.admits(&users, &basic(pair)).await);
        }
        assert_eq!(remembered(), 0);
        assert!(keeper.admits(&users, &basic(b"alice:secret")).await);
        assert!(keeper.admits(&users, &basic(b"alice:secret")).await);
        assert_eq!(remembered(), 1);
        assert!(keeper.admits(&self::users(4), &basic(b"alice:secret")).await);
        assert_eq!(remembered(), 2, "another hash is compared anew");
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let keeper = Doorkeeper::new();
        for number in 0..2 * REMEMBERED {
            keeper.remember(Some(number.to_le_bytes().to_vec()));
        }
        assert_eq!(keeper.right.lock().unwrap().len(), REMEMBERED);
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_does_not_start_a_second_comparison() {
        let keeper = Doorkeeper::new();
        let users = users(10);
        let headers = basic(b"alice:wrong");
        let gone = tokio::time::timeout(
            std::time::Duration::from_millis(1),
            keeper.admits(&users, &headers),
        );
        assert!(gone.await.is_err());
        assert!(keeper.comparing.try_lock().is_err(), "the comparison has still its turn");
    }
}
