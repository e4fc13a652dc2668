//! The `rate_limit` section: a token bucket in front of all requests.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Refusal;
use super::format::RateLimit;

/// Lets a burst of requests through, and then one each interval.
pub(super) struct Limiter {
    interval: Duration,
    burst: f64,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Limiter {
    /// An interval of 0, or none, is no limit.
    pub(super) fn new(section: RateLimit) -> Result<Option<Self>, Refusal> {
        let text = section.interval.unwrap_or_default();
        let interval = match text.as_str() {
            "" => Duration::ZERO,
            written => duration(written).ok_or_else(|| {
                let why =
                    format!("{written:?} is not a duration; write it like 500ms, 1s or 1m30s");
                Refusal::at("rate_limit.interval", why)
            })?,
        };
        if interval.is_zero() {
            return Ok(None);
        }
        let burst = section.burst.unwrap_or_default();
        let burst = burst.parse::<u32>().ok().filter(|burst| *burst > 0).ok_or_else(|| {
            let why = format!("{burst:?} would let no request through; set a whole number from 1");
            Refusal::at("rate_limit.burst", why)
        })?;
        let burst = f64::from(burst);
        let bucket = Mutex::new(Bucket { tokens: burst, filled: Instant::now() });
        Ok(Some(Self { interval, burst, bucket }))
    }

    /// Takes a token, if there is one.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.filled);
        bucket.tokens = (bucket.tokens + passed.div_duration_f64(self.interval)).min(self.burst);
        bucket.filled = now;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }
}

/// Reads a duration as Go writes it: numbers with units, one after the other, or a bare `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (amount, tail) = rest.split_at(number);
        let unit = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, tail) = tail.split_at(unit.unwrap_or(tail.len()));
        seconds += amount.parse::<f64>().ok()? * seconds_in(unit)?;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let milliseconds = |text| duration(text).map(|read| read.as_millis());
        assert_eq!(milliseconds("0"), Some(0));
        assert_eq!(milliseconds("1m30s"), Some(90_000));
        assert_eq!(milliseconds("1.5h"), Some(5_400_000));
        assert_eq!(milliseconds("250ms"), Some(250));
        for garbage in ["", "1", "s", "1 s", "-1s", "1d", "1.2.3s", "99999999999999999999h"] {
            assert_eq!(duration(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_each_interval() {
        let section = RateLimit { interval: Some("1s".into()), burst: Some("2".into()) };
        let limiter = Limiter::new(section).unwrap().unwrap();
        let start = Instant::now();
        let at = |milliseconds| limiter.allows(start + Duration::from_millis(milliseconds));
        assert_eq!([at(0), at(0), at(0)], [true, true, false]);
        assert_eq!([at(999), at(1001), at(1002)], [false, true, false]);
        assert_eq!([at(60_000), at(60_000), at(60_000)], [true, true, false]);
    }
}
