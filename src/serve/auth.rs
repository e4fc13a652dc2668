//! Basic authentication against bcrypt hashes.
//!
//! A bcrypt comparison takes a good part of a second of one core by design.
//! So comparisons run off the async thread and one at a time: a flood of wrong passwords costs one
//! core, not all, and never the thread that serves.
//! Pairs that were compared are remembered as keyed digests, so that a scraper costs one
//! comparison, and one with a wrong password too.
//! Who is compared next, and who goes, is the matter of the queue.

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::peer::Peer;
use super::queue::{Origin, Queue, Turn};
use super::web_config::Refusal;

/// How many right pairs are remembered, and how many wrong ones: far more than a machine has
/// scrapers.
const REMEMBERED: usize = 100;

/// No hash may cost more: a comparison of this cost takes 0.8 s of a core (measured on an AMD EPYC),
/// and whoever can connect can ask for one after the other.
const HIGHEST_COST: u32 = 14;

/// The users that may enter, each with the bcrypt hash of the password; nobody: all may.
#[derive(Default)]
pub(super) struct Users {
    hashes: BTreeMap<String, Hash>,
    /// The one whose comparison takes longest.
    costliest: Option<Hash>,
}

#[derive(Debug, Clone)]
struct Hash {
    text: String,
    cost: u32,
}

impl Users {
    /// Checks every hash, so that a wrong one is found when the file is loaded.
    pub(super) fn new(users: BTreeMap<String, String>) -> Result<Self, Refusal> {
        let mut hashes = BTreeMap::new();
        for (name, text) in users {
            let hash = Hash::new(text)
                .map_err(|why| Refusal::at(&format!("basic_auth_users.{name}"), why))?;
            hashes.insert(name, hash);
        }
        let costliest = hashes.values().max_by_key(|hash| hash.cost).cloned();
        Ok(Self { hashes, costliest })
    }
}

impl Hash {
    fn new(text: String) -> Result<Self, String> {
        const MAKE: &str = "make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'";
        let known = ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version));
        let parts = bcrypt::HashParts::from_str(&text).ok().filter(|_| known);
        // The package reads any cost and fails with a wrong one only when it compares.
        match parts.map(|parts| parts.get_cost()) {
            Some(cost @ 4..=HIGHEST_COST) => Ok(Self { text, cost }),
            Some(cost @ ..=31) if cost > HIGHEST_COST => Err(format!(
                "the cost of this bcrypt hash is {cost}, and the highest here is {HIGHEST_COST}: \
                 each step doubles the time of a comparison, which anybody who connects can ask \
                 for, and at {HIGHEST_COST} it takes about 0.8 s of a processor core; {MAKE}"
            )),
            _ => Err(format!(
                "this is not a bcrypt hash ($2a$, $2b$ or $2y$, a cost from 04 to \
                 {HIGHEST_COST}, 60 characters); {MAKE}"
            )),
        }
    }

    /// Whether the password is this one's. Where it is not, that takes as long as with a hash of
    /// the cost `highest`, whatever the own cost is.
    fn is_of(&self, password: &[u8], highest: u32) -> bool {
        if bcrypt::verify(password, &self.text).unwrap_or(false) {
            return true;
        }
        for cost in missing(self.cost, highest) {
            black_box(bcrypt::bcrypt(cost, [0; 16], b"nobody"));
        }
        false
    }
}

/// The costs whose rounds, together with those of `cost`, are the rounds of `highest`.
fn missing(cost: u32, highest: u32) -> std::ops::Range<u32> {
    // A cost has 2^cost rounds: twice those of `cost` are those of the next one.
    cost..highest
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Admitted,
    /// No password, or a wrong one.
    Refused,
    /// Too many wait for a comparison.
    Crowded,
    /// The server stops and compares nothing any more.
    Closing,
}

impl From<bool> for Entry {
    fn from(is_right: bool) -> Self {
        if is_right { Self::Admitted } else { Self::Refused }
    }
}

/// Decides who may enter, and remembers its decisions.
pub(super) struct Doorkeeper {
    /// Absent where the system has no randomness: then nothing is remembered.
    key: Option<hmac::Key>,
    memory: Arc<Memory>,
    queue: Arc<Queue>,
    is_closing: watch::Sender<bool>,
}

/// A pair to compare.
struct Asked {
    password: Vec<u8>,
    hash: Hash,
    is_known: bool,
    highest: u32,
    digest: Option<Digest>,
}

type Digest = Vec<u8>;

impl Doorkeeper {
    pub(super) fn new() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            memory: Arc::default(),
            queue: Arc::default(),
            is_closing: watch::Sender::new(false),
        }
    }

    /// Whether a request with these headers may enter.
    pub(super) async fn decide(&self, users: &Users, headers: &HeaderMap, peer: &Peer) -> Entry {
        // An unknown user is compared with somebody's hash all the same: otherwise the time of
        // the answer would tell which names exist.
        let Some(costliest) = &users.costliest else { return Entry::Admitted };
        let Some(credentials) = Credentials::from(headers) else { return Entry::Refused };
        let known = str::from_utf8(&credentials.user).ok().and_then(|name| users.hashes.get(name));
        let hash = known.unwrap_or(costliest).clone();
        let digest = self.digest(&credentials, &hash, known.is_some());
        if let Some(entry) = self.remembered(digest.as_ref()) {
            return entry;
        }
        let asked = Asked {
            password: credentials.password,
            hash,
            is_known: known.is_some(),
            highest: costliest.cost,
            digest,
        };
        let mut closing = self.is_closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|is_closing| *is_closing) => Entry::Closing,
            entry = self.compare(asked, peer) => entry,
        }
    }

    /// Answers at once who waits, and who comes from now on and would have to.
    pub(super) fn close(&self) {
        self.is_closing.send_replace(true);
    }

    async fn compare(&self, asked: Asked, peer: &Peer) -> Entry {
        let origin = peer.address.map_or_else(Origin::default, Origin::from);
        let Some(turn) = self.queue.turn(origin).await else { return Entry::Crowded };
        // The one before may have asked the same.
        if let Some(entry) = self.remembered(asked.digest.as_ref()) {
            return entry;
        }
        if peer.has_left() {
            return Entry::Refused;
        }
        let Asked { password, hash, is_known, highest, digest } = asked;
        let memory = Arc::clone(&self.memory);
        let compared = spawn_blocking(move || {
            let is_right = hash.is_of(&password, highest) && is_known;
            memory.put(digest, is_right);
            // The turn lives as long as the work, also where the client hangs up meanwhile, and
            // the next one finds what came out.
            drop::<Turn>(turn);
            is_right
        });
        // A comparison that panicked lets nobody in.
        compared.await.unwrap_or(false).into()
    }

    /// A digest of all that decides, so that what has changed is compared anew.
    fn digest(&self, credentials: &Credentials, hash: &Hash, is_known: bool) -> Option<Digest> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        context.update(&[is_known.into()]);
        for part in [&credentials.user, hash.text.as_bytes(), &credentials.password] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        Some(context.sign().as_ref().to_vec())
    }

    fn remembered(&self, digest: Option<&Digest>) -> Option<Entry> {
        self.memory.get(digest?).map(Entry::from)
    }
}

/// The pairs that were compared last, each with what came out.
#[derive(Default)]
struct Memory(Mutex<Pairs>);

/// Those that were wrong apart, so that a flood of them makes no right one forgotten.
#[derive(Default)]
struct Pairs {
    right: VecDeque<Digest>,
    wrong: VecDeque<Digest>,
}

impl Memory {
    fn get(&self, digest: &Digest) -> Option<bool> {
        let pairs = self.pairs();
        let is_right = pairs.right.contains(digest);
        (is_right || pairs.wrong.contains(digest)).then_some(is_right)
    }

    fn put(&self, digest: Option<Digest>, is_right: bool) {
        let mut pairs = self.pairs();
        let known = if is_right { &mut pairs.right } else { &mut pairs.wrong };
        if known.len() >= REMEMBERED {
            known.pop_front();
        }
        known.extend(digest);
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many right and how many wrong pairs it has.
    #[cfg(test)]
    fn counts(&self) -> (usize, usize) {
        let pairs = self.pairs();
        (pairs.right.len(), pairs.wrong.len())
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

    fn users(users: &[(&str, &str, u32)]) -> Users {
        let hashed = |(name, password, cost): &(&str, &str, u32)| {
            ((*name).to_owned(), bcrypt::hash(password, *cost).unwrap())
        };
        Users::new(users.iter().map(hashed).collect()).unwrap()
    }

    fn alice() -> Users {
        users(&[("alice", "secret", 4)])
    }

    fn basic(pair: &[u8]) -> HeaderMap {
        let value = format!("bAsIc {}", STANDARD.encode(pair)).parse().unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    async fn entry(keeper: &Doorkeeper, users: &Users, pair: &[u8]) -> Entry {
        keeper.decide(users, &basic(pair), &Peer::default()).await
    }

    #[tokio::test]
    async fn a_pair_is_remembered_with_its_hash() {
        let keeper = Doorkeeper::new();
        let remembered = || keeper.memory.counts();
        let users = alice();
        for pair in [b"alice:wrong".as_slice(), b"mallory:secret", b":", b"alice:\xff", b"\xff:"] {
            for _ in 0..2 {
                assert_eq!(entry(&keeper, &users, pair).await, Entry::Refused);
            }
        }
        assert_eq!(remembered(), (0, 5));
        for _ in 0..2 {
            assert_eq!(entry(&keeper, &users, b"alice:secret").await, Entry::Admitted);
        }
        assert_eq!(remembered(), (1, 5));
        assert_eq!(entry(&keeper, &alice(), b"alice:secret").await, Entry::Admitted);
        assert_eq!(remembered(), (2, 5), "another hash is compared anew");
    }

    /// Somebody gets the name that was unknown, with the hash that was compared for it.
    #[tokio::test]
    async fn a_user_that_was_unknown_is_compared_anew() {
        let keeper = Doorkeeper::new();
        let hash = bcrypt::hash("secret", 4).unwrap();
        let with = |names: &[&str]| {
            let user = |name: &&str| ((*name).to_owned(), hash.clone());
            Users::new(names.iter().map(user).collect()).unwrap()
        };
        let before = entry(&keeper, &with(&["alice"]), b"bob:secret").await;
        let after = entry(&keeper, &with(&["alice", "bob"]), b"bob:secret").await;
        assert_eq!((before, after), (Entry::Refused, Entry::Admitted));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_wrong_pairs_displace_no_right_one() {
        let memory = Memory::default();
        memory.put(Some(b"right".to_vec()), true);
        for number in 0..2 * REMEMBERED {
            memory.put(Some(number.to_le_bytes().to_vec()), false);
        }
        assert_eq!(memory.counts(), (1, REMEMBERED));
        assert_eq!(memory.get(&b"right".to_vec()), Some(true));
        assert_eq!(memory.get(&0_usize.to_le_bytes().to_vec()), None);
    }

    /// While one comparison runs, pairs that were compared are answered, and everybody else waits:
    /// also who does not exist.
    #[tokio::test]
    async fn what_was_compared_waits_for_nobody_and_what_was_not_waits() {
        let keeper = Doorkeeper::new();
        let users = alice();
        assert_eq!(entry(&keeper, &users, b"alice:secret").await, Entry::Admitted);
        assert_eq!(entry(&keeper, &users, b"alice:wrong").await, Entry::Refused);
        let turn = keeper.queue.turn(Origin::default()).await.unwrap();
        assert_eq!(entry(&keeper, &users, b"alice:secret").await, Entry::Admitted);
        assert_eq!(entry(&keeper, &users, b"alice:wrong").await, Entry::Refused);
        let waiting = async {
            while keeper.queue.waiting() < 3 {
                tokio::task::yield_now().await;
            }
            drop(turn);
        };
        let (known, unknown, same, ()) = tokio::join!(
            entry(&keeper, &users, b"alice:guess"),
            entry(&keeper, &users, b"mallory:guess"),
            entry(&keeper, &users, b"alice:guess"),
            waiting
        );
        assert_eq!((known, unknown, same), (Entry::Refused, Entry::Refused, Entry::Refused));
        assert_eq!(keeper.memory.counts(), (1, 3), "what is asked twice is compared once");
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_starts_no_comparison() {
        let keeper = Doorkeeper::new();
        let users = alice();
        let turn = keeper.queue.turn(Origin::default()).await.unwrap();
        tokio::select! {
            biased;
            _ = entry(&keeper, &users, b"alice:wrong") => panic!("it has to wait"),
            () = async {} => {}
        }
        assert_eq!(keeper.queue.waiting(), 0);
        drop(turn);
        drop(keeper.queue.turn(Origin::default()).await.unwrap());
        assert_eq!(keeper.memory.counts(), (0, 0));
    }

    #[tokio::test]
    async fn a_comparison_that_runs_holds_its_turn_though_its_client_hangs_up() {
        let keeper = Doorkeeper::new();
        let users = users(&[("alice", "secret", 10)]);
        // The first poll starts the comparison, and nobody polls again.
        tokio::select! {
            biased;
            _ = entry(&keeper, &users, b"alice:secret") => {}
            () = async {} => {}
        }
        let next = keeper.queue.turn(Origin::default()).await;
        assert_eq!(keeper.memory.counts(), (1, 0), "the next turn comes after it");
        drop(next);
        assert_eq!(entry(&keeper, &users, b"alice:secret").await, Entry::Admitted);
    }

    #[tokio::test]
    async fn who_waits_is_answered_when_the_server_stops() {
        let keeper = Doorkeeper::new();
        let users = alice();
        assert_eq!(entry(&keeper, &users, b"alice:secret").await, Entry::Admitted);
        let _turn = keeper.queue.turn(Origin::default()).await.unwrap();
        let stop = async {
            while keeper.queue.waiting() < 1 {
                tokio::task::yield_now().await;
            }
            keeper.close();
        };
        let (waited, ()) = tokio::join!(entry(&keeper, &users, b"alice:wrong"), stop);
        assert_eq!(waited, Entry::Closing);
        assert_eq!(entry(&keeper, &users, b"alice:other").await, Entry::Closing);
        assert_eq!(entry(&keeper, &users, b"alice:secret").await, Entry::Admitted);
    }

    /// Otherwise the time of an answer would tell a cheap user from one that does not exist.
    #[tokio::test]
    async fn every_wrong_pair_costs_as_much_as_the_costliest_hash() {
        for (cost, highest) in [(4, 4), (4, 5), (4, 14), (10, 12)] {
            let rounds = |cost: u32| 1_u64 << cost;
            let all = rounds(cost) + missing(cost, highest).map(rounds).sum::<u64>();
            assert_eq!(all, rounds(highest), "{cost} {highest}");
        }
        let users = users(&[("alice", "secret", 4), ("bob", "hidden", 6), ("carol", "open", 5)]);
        assert_eq!(users.costliest.as_ref().unwrap().cost, 6);
        let keeper = Doorkeeper::new();
        for pair in [b"alice:secret".as_slice(), b"bob:hidden", b"carol:open"] {
            assert_eq!(entry(&keeper, &users, pair).await, Entry::Admitted);
        }
        for pair in [b"alice:hidden".as_slice(), b"bob:secret", b"mallory:hidden"] {
            assert_eq!(entry(&keeper, &users, pair).await, Entry::Refused);
        }
    }
}
