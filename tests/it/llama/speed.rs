//! Tokens per second from two answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use halo::source::llama::speed::{Baseline, Progress};

fn at(begin: Instant, seconds: u64, ended: f64, running: &[(u64, f64)]) -> Progress {
    let running: BTreeMap<(u64, u64), f64> =
        running.iter().map(|(task, tokens)| ((task % 2, *task), *tokens)).collect();
    Progress {
        at: begin + Duration::from_secs(seconds),
        prompt: 100.0 * seconds as f64,
        ended,
        running: Some(running),
    }
}

fn generated(earlier: &Progress, later: &Progress) -> Option<f64> {
    later.speed_since(earlier).generated
}

#[test]
fn tokens_are_counted_while_requests_run_and_when_they_end() {
    let begin = Instant::now();
    let first = at(begin, 0, 1000.0, &[(1, 50.0), (2, 10.0)]);
    let running = at(begin, 2, 1000.0, &[(1, 90.0), (2, 50.0)]);
    assert_eq!(generated(&first, &running), Some(40.0));
    assert_eq!(running.speed_since(&first).prompt, Some(100.0));
    // Task 1 ends with 100 tokens, task 3 takes its slot.
    let ended = at(begin, 4, 1100.0, &[(2, 80.0), (3, 20.0)]);
    assert_eq!(generated(&running, &ended), Some((10.0 + 30.0 + 20.0) / 2.0));
    // Both end, and nothing runs any more.
    let idle = at(begin, 6, 1230.0, &[]);
    assert_eq!(generated(&ended, &idle), Some((130.0 - 100.0) / 2.0));
    assert_eq!(generated(&idle, &at(begin, 8, 1230.0, &[])), Some(0.0));
}

#[test]
fn answers_that_do_not_fit_together_give_no_speed() {
    let begin = Instant::now();
    let first = at(begin, 0, 0.0, &[(1, 4000.0)]);
    // It ended between the answers: it runs no more, and is not counted yet.
    let torn = at(begin, 2, 0.0, &[]);
    assert_eq!(generated(&first, &torn), None);
    // From the last moment that fits, the speed is right again: nothing is left out of it.
    let whole = at(begin, 4, 4200.0, &[]);
    assert_eq!(shown([first, torn, whole]), [None, None, Some(50.0)]);
}

/// The speeds of generation that are shown when a server says these one after the other.
fn shown<const N: usize>(said: [Progress; N]) -> [Option<f64>; N] {
    let mut baseline = None;
    said.map(|progress| {
        let (speed, next) = Baseline::advance(baseline.take(), progress);
        baseline = Some(next);
        speed.generated
    })
}

#[test]
fn a_request_that_is_never_counted_hides_the_speed_for_a_moment_alone() {
    let begin = Instant::now();
    // Task 1 is cancelled, and its tokens are counted nowhere; task 2 goes on at 10 a second.
    let first = at(begin, 0, 0.0, &[(1, 4000.0), (2, 10.0)]);
    let later = [2, 4, 6, 8].map(|s| at(begin, s, 0.0, &[(2, 10.0 + 10.0 * s as f64)]));
    let [a, b, c, d] = later;
    assert_eq!(shown([first, a, b, c, d]), [None, None, None, None, Some(10.0)]);
}

#[test]
fn slots_that_could_not_be_asked_once_hide_the_speed_for_a_moment_alone() {
    let begin = Instant::now();
    let of = |seconds, tokens| at(begin, seconds, 0.0, &[(1, tokens)]);
    let silent = Progress { running: None, ..of(4, 0.0) };
    let all = [of(0, 10.0), of(2, 30.0), silent, of(6, 70.0), of(8, 90.0)];
    assert_eq!(shown(all), [None, Some(10.0), None, None, Some(10.0)]);
}

#[test]
fn a_restart_gives_no_speed() {
    let begin = Instant::now();
    let first = at(begin, 0, 1000.0, &[]);
    let anew = at(begin, 2, 10.0, &[]);
    assert_eq!((generated(&first, &anew), anew.speed_since(&first).prompt), (None, None));
    assert_eq!(generated(&first, &at(begin, 0, 1000.0, &[])), None, "no time has passed");
    let later = at(begin, 4, 50.0, &[]);
    let all = shown([first, anew, later]);
    assert_eq!(all, [None, None, Some(20.0)], "the next interval begins there");
}

#[test]
fn counters_of_six_digits_are_near_enough() {
    let begin = Instant::now();
    // 1 002 334 is printed as 1.00233e+06.
    let first = at(begin, 0, 1_002_330.0, &[(1, 4.0)]);
    let ended = at(begin, 2, 1_002_330.0, &[]);
    assert_eq!(generated(&first, &ended), Some(0.0), "less than the rounding is no torn answer");
}
