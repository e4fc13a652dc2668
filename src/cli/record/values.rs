//! Values of flags.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::redact::keys;
use crate::run::manifest::State;
use crate::source::tuning::checks::Group;

/// The shortest interval that is accepted; each source keeps its own least time between readings.
const LEAST_INTERVAL: Duration = Duration::from_millis(20);

/// The greatest: slower than this nothing is seen of a benchmark.
const GREATEST_INTERVAL: Duration = Duration::from_mins(1);

/// The longest time that the machine is sampled alone.
const LONGEST_LEAD: Duration = Duration::from_mins(10);

/// A tag: `post-opt` or `kv=q4_0`. What looks like a key is hidden: an archive holds none.
pub(super) fn tag(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err("expected NAME or KEY=VALUE, the name of letters, digits and _.-".to_owned());
    }
    if value.is_some_and(|value| value.len() > 128 || value.contains(char::is_control)) {
        return Err("expected a value of one line and at most 128 bytes".to_owned());
    }
    Ok((keys::hide(name), value.map(|value| keys::hide_value(name, value))))
}

pub(super) fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Ok((keys::hide(key), keys::hide_value(key, value)))
        }
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refuse = |_| "expected a time with its unit, as 250ms, 2s or 1m".to_owned();
    let duration: SignedDuration = text.parse().map_err(refuse)?;
    Duration::try_from(duration).map_err(|_| "expected a time that is not negative".to_owned())
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if (LEAST_INTERVAL..=GREATEST_INTERVAL).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("expected {LEAST_INTERVAL:?} to {GREATEST_INTERVAL:?}"))
    }
}

pub(super) fn lead(text: &str) -> Result<Duration, String> {
    let lead = if text == "0" { Duration::ZERO } else { duration(text)? };
    if lead <= LONGEST_LEAD { Ok(lead) } else { Err(format!("expected at most {LONGEST_LEAD:?}")) }
}

/// Degrees Celsius that a processor can have and a room cannot.
pub(super) fn celsius(text: &str) -> Result<f64, String> {
    let celsius = text.parse().ok().filter(|celsius| (20.0..=110.0).contains(celsius));
    celsius.ok_or_else(|| "expected degrees Celsius from 20 to 110".to_owned())
}

pub(super) fn group(text: &str) -> Result<Group, String> {
    let group = Group::ALL.into_iter().find(|group| group.as_str() == text);
    group.ok_or_else(|| format!("expected one of {}", Group::ALL.map(Group::as_str).join(", ")))
}

/// A share, given in percent: `1%` is 0.01.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let percent = number.filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent.map(|percent| percent / 100.0).ok_or_else(|| "expected percent, as 1%".to_owned())
}

pub(super) fn gigabytes(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|size: &f64| size.is_finite() && *size > 0.0)
        .ok_or_else(|| "expected a size in GB, as 20 or 7.5".to_owned())
}

pub(super) fn state(text: &str) -> Result<State, String> {
    serde_json::from_value(text.into())
        .map_err(|_| format!("expected one of {}", State::WORDS.join(", ")))
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        let zoned = date.to_zoned_datetime(jiff::tz::TimeZone::system());
        return zoned.map(|zoned| zoned.timestamp()).map_err(|error| error.to_string());
    }
    let ago: jiff::Span = text
        .parse()
        .map_err(|_| "expected a date as 2026-11-24, a time, or as long ago as 2d".to_owned())?;
    ZonedDateTime::now()
        .checked_sub(ago)
        .map(|zoned| zoned.timestamp())
        .map_err(|error| error.to_string())
}

pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() { Ok(path) } else { Err("expected a directory that is there".to_owned()) }
}
