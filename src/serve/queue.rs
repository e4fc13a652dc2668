//! Whose password is compared next: one at a time, in turn by where requests come from.
//!
//! A flood has the places of one origin, so what comes from elsewhere is next but one.
//! Among the requests of one origin chance decides, who is next as well as who goes where all
//! places are taken: whoever floods from the scraper's own address has its share and no more, and
//! a scraper that comes again gets in.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::rand::SystemRandom;
use tokio::sync::oneshot;

/// How many may wait: as many as are compared in a few seconds at the usual cost of 10, and few
/// enough that their connections cost nothing.
const PLACES: usize = 64;

/// Where a request comes from; none where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Origin(Option<IpAddr>);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            // A machine chooses among all addresses of its network.
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            address @ IpAddr::V4(_) => address,
        }))
    }
}

/// Gives turns, one after the other.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    is_taken: bool,
    line: Line<oneshot::Sender<Turn>>,
}

impl Queue {
    /// Waits for a turn; none where the place was given to another.
    ///
    /// Who drops this future leaves the queue.
    pub(super) async fn turn(self: &Arc<Self>, origin: Origin) -> Option<Turn> {
        let (give, given) = oneshot::channel();
        {
            let mut state = self.state();
            if !state.is_taken {
                state.is_taken = true;
                return Some(Turn(Arc::clone(self)));
            }
            // Whose sender is dropped here learns by that.
            state.line.join(origin, give, random);
        }
        given.await.ok()
    }

    fn pass_on(self: &Arc<Self>) {
        let next = {
            let mut state = self.state();
            let next = state.line.next(random);
            state.is_taken = next.is_some();
            next
        };
        // Sent without the lock: a turn that nobody takes is dropped, and passes itself on.
        if let Some(next) = next {
            drop(next.send(Turn(Arc::clone(self))));
        }
    }

    /// Those who wait, without those who have left.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.line.retain(|waiting| !waiting.is_closed());
        state
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state().line.len()
    }
}

/// The right to compare; whoever drops it passes it on.
pub(super) struct Turn(Arc<Queue>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

/// A number below another, by chance; 0 where the system has no randomness.
fn random(below: usize) -> usize {
    let bytes = ring::rand::generate::<[u8; size_of::<usize>()]>(&SystemRandom::new());
    bytes.map_or(0, |bytes| usize::from_le_bytes(bytes.expose()) % below)
}

/// Who waits, by origin; the first origin is next.
struct Line<T>(VecDeque<(Origin, Vec<T>)>);

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Line<T> {
    fn len(&self) -> usize {
        self.0.iter().map(|(_, waiting)| waiting.len()).sum()
    }

    fn retain(&mut self, stays: impl Fn(&T) -> bool) {
        self.0.retain_mut(|(_, waiting)| {
            waiting.retain(&stays);
            !waiting.is_empty()
        });
    }

    /// Adds somebody, and returns who had to go for that. `random` gives a number below its
    /// argument.
    fn join(&mut self, origin: Origin, who: T, random: impl Fn(usize) -> usize) -> Option<T> {
        let gone = if self.len() < PLACES { None } else { self.make_room(origin, random) };
        match self.0.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, waiting)) => waiting.push(who),
            None => self.0.push_back((origin, vec![who])),
        }
        gone
    }

    /// Takes somebody out of the origin that has most places, with the one that comes.
    fn make_room(&mut self, coming: Origin, random: impl Fn(usize) -> usize) -> Option<T> {
        let places = |index: &usize| {
            let (origin, waiting) = &self.0[*index];
            waiting.len() + usize::from(*origin == coming)
        };
        let most = (0..self.0.len()).map(|index| places(&index)).max()?;
        let full: Vec<usize> = (0..self.0.len()).filter(|index| places(index) == most).collect();
        let own = full.iter().find(|index| self.0[**index].0 == coming);
        let index = *own.unwrap_or_else(|| &full[random(full.len())]);
        let (_, waiting) = &mut self.0[index];
        let gone = waiting.swap_remove(random(waiting.len()));
        self.retain(|_| true);
        Some(gone)
    }

    /// Takes out who is next.
    fn next(&mut self, random: impl Fn(usize) -> usize) -> Option<T> {
        let (origin, mut waiting) = self.0.pop_front()?;
        let next = waiting.swap_remove(random(waiting.len()));
        if !waiting.is_empty() {
            self.0.push_back((origin, waiting));
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: u32) -> Origin {
        IpAddr::V4(number.into()).into()
    }

    fn newest(below: usize) -> usize {
        below - 1
    }

    fn all(line: &mut Line<u32>) -> Vec<u32> {
        std::iter::from_fn(|| line.next(|_| 0)).collect()
    }

    #[test]
    fn a_network_of_ipv6_is_one_origin_and_a_mapped_address_is_its_ipv4() {
        let of = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn origins_take_turns() {
        let mut line = Line::default();
        for who in 0..4 {
            line.join(origin(1), who, newest);
        }
        line.join(origin(2), 10, newest);
        line.join(origin(3), 20, newest);
        line.join(origin(3), 21, newest);
        let order = all(&mut line);
        assert_eq!(order[..3], [0, 10, 20]);
        assert_eq!(order[4], 21);
        assert_eq!(order.len(), 7);
    }

    #[test]
    fn who_has_most_places_makes_room_and_who_comes_always_has_one() {
        let mut line = Line::default();
        let places = u32::try_from(PLACES).unwrap();
        line.join(origin(2), 1000, newest);
        for who in 0..places - 1 {
            assert_eq!(line.join(origin(1), who, newest), None);
        }
        // The flood displaces its own, one from elsewhere displaces the flood.
        assert_eq!(line.join(origin(1), 500, newest), Some(places - 2));
        assert_eq!(line.join(origin(3), 2000, |_| 0), Some(0));
        assert_eq!(line.join(origin(1), 501, |_| 1), Some(1));
        assert_eq!(line.len(), PLACES);
        let order = all(&mut line);
        assert!(order.contains(&500) && order.contains(&501), "{order:?}");
        let next = order.iter().position(|who| *who == 1000).unwrap();
        let after = order.iter().position(|who| *who == 2000).unwrap();
        assert!(next < 3 && after < 3, "{order:?}");
    }

    #[test]
    fn where_every_place_is_of_another_origin_anyone_may_have_to_go() {
        let full = || {
            let mut line = Line::default();
            (0..u32::try_from(PLACES).unwrap()).for_each(|who| {
                line.join(origin(who), who, newest);
            });
            line
        };
        assert_eq!(full().join(origin(1000), 1000, |_| 0), Some(0));
        assert_eq!(full().join(origin(1000), 1000, newest), Some(63));
        // Whoever has a place already gives up that one.
        assert_eq!(full().join(origin(7), 1000, newest), Some(7));
    }

    #[test]
    fn chance_reaches_everyone() {
        let mut missing: Vec<_> = (0..5).collect();
        while !missing.is_empty() {
            let found = random(5);
            assert!(found < 5);
            missing.retain(|number| *number != found);
        }
    }

    #[tokio::test]
    async fn a_turn_is_passed_on_to_who_waits_and_not_to_who_has_left() {
        let queue = Arc::new(Queue::default());
        let first = queue.turn(origin(1)).await.unwrap();
        let wait = |number| {
            let mut turn = Box::pin({
                let queue = Arc::clone(&queue);
                async move { queue.turn(origin(number)).await }
            });
            assert!(poll_once(&mut turn).is_none(), "one at a time");
            turn
        };
        let (left, given, stays) = (wait(2), wait(3), wait(4));
        assert_eq!(queue.waiting(), 3);
        drop(left);
        assert_eq!(queue.waiting(), 2);
        drop(first);
        // The turn was given, and its owner leaves before it looks.
        drop(given);
        let turn = stays.await.unwrap();
        drop(turn);
        assert!(!queue.state().is_taken, "nobody waits any more");
    }

    /// Against a flood from its own address that takes every place anew, chance alone is left.
    #[test]
    fn who_comes_again_and_again_gets_in_through_a_flood_from_its_own_address() {
        let queue = Arc::new(Queue::default());
        let turn = |queue: &Arc<Queue>| {
            let queue = Arc::clone(queue);
            Box::pin(async move { queue.turn(origin(1)).await })
        };
        let mut running = poll_once(&mut turn(&queue)).unwrap();
        let mut flood: Vec<_> = (0..2 * PLACES).map(|_| turn(&queue)).collect();
        let mut good = turn(&queue);
        loop {
            for request in &mut flood {
                if let Some(answer) = poll_once(request) {
                    running = running.or(answer);
                    *request = turn(&queue);
                    assert!(poll_once(request).is_none());
                }
            }
            match poll_once(&mut good) {
                Some(Some(_turn)) => return,
                Some(None) => good = turn(&queue),
                None => {}
            }
            drop(running.take());
        }
    }

    fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
