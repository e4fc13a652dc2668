//! The two clocks of a run: one that counts evenly, one that people read.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::run::journal::Moment;

/// This moment on both clocks.
pub fn now() -> Moment {
    Moment {
        monotonic: nanoseconds(clock_gettime(ClockId::Monotonic)),
        unix: nanoseconds(clock_gettime(ClockId::Realtime)),
    }
}

/// Enough for 292 years.
fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}
