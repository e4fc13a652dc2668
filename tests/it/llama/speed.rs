//! Tokens per second from two answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use halo::source::llama::speed::Progress;

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
    assert!(!torn.fits(Some(&first)));
    // From the last moment that fits, the speed is right again.
    let whole = at(begin, 4, 4200.0, &[]);
    assert_eq!(generated(&first, &whole), Some(50.0));
}

#[test]
fn a_restart_gives_no_speed() {
    let begin = Instant::now();
    let first = at(begin, 0, 1000.0, &[]);
    let anew = at(begin, 2, 10.0, &[]);
    assert_eq!((generated(&first, &anew), anew.speed_since(&first).prompt), (None, None));
    assert!(anew.fits(Some(&first)), "the next interval begins there");
    assert_eq!(generated(&first, &at(begin, 0, 1000.0, &[])), None, "no time has passed");
}

#[test]
fn counters_of_six_digits_are_near_enough() {
    let begin = Instant::now();
    // 1 002 334 is printed as 1.00233e+06.
    let first = at(begin, 0, 1_002_330.0, &[(1, 4.0)]);
    let ended = at(begin, 2, 1_002_330.0, &[]);
    assert_eq!(generated(&first, &ended), Some(0.0), "less than the rounding is no torn answer");
}
