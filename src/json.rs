//! JSON that others wrote: what it would take in memory is known before it is read.

use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Error, Value};

/// What a document may take when it is read, in bytes. With the text itself, which is bounded where
/// it is read, a command stays below 256 MiB.
const MOST: usize = 128 << 20;

/// What an entry of a list takes.
const OF_LIST: usize = size_of::<Value>();

/// What an entry of an object takes: its key with an allocation of its own, its value, its place in
/// the table.
const OF_OBJECT: usize = size_of::<(usize, String, Value)>() + 48;

/// A list or object with a single entry has room for four.
const OPENED: usize = 4 * OF_OBJECT;

/// Objects in objects that are told apart; `serde_json` reads no more of them.
const DEEPEST: u32 = 127;

/// Reads a document.
///
/// # Errors
///
/// Where it is no such JSON, or would take more than 128 MiB.
pub(crate) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    check(text)?;
    serde_json::from_slice(text)
}

/// Refuses a text whose values would take more than 128 MiB. It need be no JSON.
///
/// # Errors
///
/// Where they would.
pub(crate) fn check(text: &[u8]) -> Result<(), Error> {
    let weight = weigh(text);
    if weight > MOST {
        let (weight, most) = (weight >> 20, MOST >> 20);
        let text = format!("it would take {weight} MiB of memory, and {most} MiB are the most");
        return Err(Error::custom(text));
    }
    Ok(())
}

/// Reads a document from a text, as [`from_slice`].
///
/// # Errors
///
/// As [`from_slice`].
pub(crate) fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    from_slice(text.as_bytes())
}

/// At least what a text takes as values. It need be no JSON.
fn weigh(text: &[u8]) -> usize {
    let (mut weight, mut depth, mut objects) = (text.len(), 0_u32, 0_u128);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => {
                weight = weight.saturating_add(OPENED);
                depth = (depth + 1).min(DEEPEST);
                let bit = 1 << depth;
                objects = if *byte == b'{' { objects | bit } else { objects & !bit };
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                let is_object = objects & (1 << depth) != 0;
                weight = weight.saturating_add(if is_object { OF_OBJECT } else { OF_LIST });
            }
            _ => {}
        }
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_read_and_what_would_fill_the_memory_is_not() {
        let value: Value = from_slice(br#"{"a": [1, {"b": "[[[[,,,,\""}]}"#).unwrap();
        assert_eq!(value["a"][1]["b"], "[[[[,,,,\"");
        let nested = format!("[{}]", vec!["[0]"; 300_000].join(","));
        let error = from_slice::<Value>(nested.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("of memory"), "{error}");
        // A million measured times, as a benchmark of servers writes them.
        let numbers = format!("[{}]", vec!["0.0125"; 1_000_000].join(","));
        assert!(from_slice::<Value>(numbers.as_bytes()).is_ok());
        assert!(from_slice::<Value>("[".repeat(100_000).as_bytes()).is_err(), "no stack is enough");
    }

    #[test]
    fn text_in_quotes_weighs_itself() {
        let text = format!(r#""{}""#, ",[{\\\"".repeat(1000));
        assert_eq!(weigh(text.as_bytes()), text.len());
        assert!(weigh(b"[[") >= 2 * OPENED);
    }
}
