//! The two clocks of a run: one that counts evenly, one that people read.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::run::journal::Moment;

/// This moment on both clocks, in whole microseconds: the scheduler decides what is behind them, and
/// digits of noise do not compress.
pub fn now() -> Moment {
    Moment {
        monotonic: nanoseconds(clock_gettime(ClockId::Monotonic)),
        unix: nanoseconds(clock_gettime(ClockId::Realtime)),
    }
}

/// Nanoseconds, which are enough for 292 years.
fn nanoseconds(time: Timespec) -> i64 {
    let microseconds = time.tv_nsec - time.tv_nsec % 1000;
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(microseconds)
}
