//! JSON files of tools, read key by key: what is missing is named with its place.

use std::fmt::Display;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{OutputFile, ParseError};
use crate::json;

/// How Python and printf write what is no number, the longer ones first.
const NO_NUMBERS: [&str; 7] = ["-Infinity", "Infinity", "NaN", "-nan", "nan", "-inf", "inf"];

/// A JSON value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    place: String,
}

/// The JSON that a file holds. Python writes numbers there that JSON does not know, as NaN; they
/// are read as null.
pub(super) fn parse(path: &str, bytes: &[u8]) -> Result<Value, ParseError> {
    let refuse = |error: &dyn Display| ParseError {
        place: path.to_owned(),
        detail: format!("it is no JSON: {error}"),
    };
    match json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) => {
            let text = std::str::from_utf8(bytes).map_err(|error| refuse(&error))?;
            json::from_str(&without_nan(text)).map_err(|_| refuse(&error))
        }
    }
}

/// The documents of a file that has one a line, with their places. A line that has no end was cut, and
/// is passed over.
pub(super) fn lines(
    file: &OutputFile,
) -> impl Iterator<Item = Result<(String, Value), ParseError>> + '_ {
    let whole = |line: &'_ [u8]| line.ends_with(b"\n") && !line.trim_ascii().is_empty();
    let lines = file.bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines.filter(move |(_, line)| whole(line)).map(|(index, line)| {
        let place = format!("{} line {}", file.path, index + 1);
        let value = parse(&place, line)?;
        Ok((place, value))
    })
}

/// The same text with null for the numbers of Python and of C that are none; texts in quotes stay.
pub(super) fn without_nan(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let (mut in_text, mut is_escaped) = (false, false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let number = NO_NUMBERS.iter().find(|word| rest.starts_with(**word));
        if let Some(number) = number.filter(|_| !in_text) {
            clean.push_str("null");
            rest = &rest[number.len()..];
            continue;
        }
        (in_text, is_escaped) = match next {
            _ if is_escaped => (in_text, false),
            '\\' => (in_text, in_text),
            '"' => (!in_text, false),
            _ => (in_text, false),
        };
        clean.push(next);
        rest = &rest[next.len_utf8()..];
    }
    clean
}

impl<'a> Node<'a> {
    pub(super) fn new(file: &OutputFile, value: &'a Value) -> Self {
        Self::at(&file.path, value)
    }

    pub(super) fn at(place: &str, value: &'a Value) -> Self {
        Self { value, place: place.to_owned() }
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        let dot = if self.place.contains(": ") { "." } else { ": " };
        Self { value, place: format!("{}{dot}{key}", self.place) }
    }

    /// What stands under a key that must be there.
    pub(super) fn get(&self, key: &str) -> Result<Self, ParseError> {
        self.optional(key).ok_or_else(|| self.error(format!("{key} is missing")))
    }

    /// What stands under a key; null is as good as nothing.
    pub(super) fn optional(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.child(key, value))
    }

    pub(super) fn text(&self) -> Result<&'a str, ParseError> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    pub(super) fn number(&self) -> Result<f64, ParseError> {
        self.value.as_f64().ok_or_else(|| self.wrong("a number"))
    }

    pub(super) fn count(&self) -> Result<u64, ParseError> {
        self.value.as_u64().ok_or_else(|| self.wrong("a whole number"))
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, ParseError> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }

    /// The entries of an object, in its order.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, ParseError> {
        let object = self.object()?;
        Ok(object.iter().map(|(key, value)| (key.as_str(), self.child(key, value))).collect())
    }

    /// The entries of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>, ParseError> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let entry = |(index, value)| Self { value, place: format!("{}[{index}]", self.place) };
        Ok(list.iter().enumerate().map(entry).collect())
    }

    /// A time with its zone, as ISO 8601 writes it.
    pub(super) fn time(&self) -> Result<Timestamp, ParseError> {
        self.text()?.parse().map_err(|_| self.wrong("a time with its zone"))
    }

    pub(super) fn wrong(&self, expected: &str) -> ParseError {
        let mut found = self.value.to_string();
        if found.chars().count() > 40 {
            found = found.chars().take(40).chain("...".chars()).collect();
        }
        self.error(format!("{found} is not {expected}"))
    }

    pub(super) fn error(&self, detail: impl Into<String>) -> ParseError {
        ParseError { place: self.place.clone(), detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, parse};

    #[test]
    fn numbers_of_python_are_unknown_and_texts_stay() {
        let text = br#"{"a": NaN, "b": "NaN \" -Infinity", "c": [-Infinity, 1]}"#;
        let value = parse("f", text).unwrap();
        assert_eq!(value.to_string(), r#"{"a":null,"b":"NaN \" -Infinity","c":[null,1]}"#);
        let text = br#"{"a": -nan, "nan": [inf, -inf, nan]}"#;
        assert_eq!(parse("f", text).unwrap().to_string(), r#"{"a":null,"nan":[null,null,null]}"#);
        assert!(
            parse("f", b"{\"a\": NaN").unwrap_err().to_string().starts_with("f: it is no JSON")
        );
    }

    #[test]
    fn what_is_missing_is_named_with_its_place() {
        let value = serde_json::json!({"a": {"b": [1, "x"]}});
        let node = Node::at("raw/files/x.json", &value);
        let list = node.get("a").unwrap().get("b").unwrap().list().unwrap();
        let error = list[1].number().unwrap_err().to_string();
        assert_eq!(error, "raw/files/x.json: a.b[1]: \"x\" is not a number");
        let error = node.get("a").unwrap().get("c").unwrap_err().to_string();
        assert_eq!(error, "raw/files/x.json: a: c is missing");
    }
}
