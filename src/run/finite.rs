//! Numbers of the archive's JSON, which has neither infinity nor NaN: what is not finite is absent.
//!
//! serde writes such a number as `null`, and reads no `null` as a number. An archive of an earlier halo
//! has some, and one of them must not make its run unreadable: a figure that lacks its number is left
//! out when it is read, and never written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer};

/// Something of a list that says nothing without its numbers.
pub(super) trait Whole {
    /// Whether all of those are finite.
    fn is_whole(&self) -> bool;
}

/// Reads a list without the entries that lack a number.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de> + Whole>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::<T>::deserialize(deserializer)?;
    list.retain(T::is_whole);
    Ok(list)
}

/// Whether a list would be written as an empty one.
pub(super) fn is_empty<T: Whole>(list: &[T]) -> bool {
    !list.iter().any(T::is_whole)
}

/// Writes a list without the entries that lack a number.
pub(super) fn write_list<S: Serializer, T: serde::Serialize + Whole>(
    list: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().filter(|entry| entry.is_whole()))
}

/// The same of a list that may be unknown.
pub(super) fn known_list<'de, D: Deserializer<'de>, T: Deserialize<'de> + Whole>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = Option::<Vec<T>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().filter(T::is_whole).collect()))
}

/// Writes such a list.
#[expect(clippy::ref_option, reason = "serde asks for a reference")]
pub(super) fn write_known_list<S: Serializer, T: serde::Serialize + Whole>(
    list: &Option<Vec<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    write_list(list.as_deref().unwrap_or_default(), serializer)
}

/// Reads something that is unknown where it lacks a number.
pub(super) fn known<'de, D: Deserializer<'de>, T: Deserialize<'de> + Whole>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.filter(T::is_whole))
}

/// Reads a number, `null` as NaN: what holds it is not whole.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Whether a number is unknown.
#[expect(clippy::ref_option, reason = "serde asks for a reference")]
pub(super) fn is_unknown(number: &Option<f64>) -> bool {
    !number.is_some_and(f64::is_finite)
}

/// Reads numbers by name, without those that are unknown.
pub(super) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let map = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(map.into_iter().filter_map(|(name, number)| Some((name, number?))).collect())
}

/// Writes numbers by name, without those that are unknown.
pub(super) fn write_map<S: Serializer>(
    map: &BTreeMap<String, f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().filter(|(_, number)| number.is_finite()))
}
