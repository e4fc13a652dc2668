//! Types of the KV cache as the user names them: `f16`, or `q4_0:q8_0` for keys and values.

use std::fmt;
use std::str::FromStr;

/// The types that llama.cpp has for the cache (`common/arg.cpp`, `kv_cache_types`, b11434).
const TYPES: [&str; 9] = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"];

/// The type of the cache where nothing is asked for.
const DEFAULT: &str = "f16";

/// The types of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvTypes {
    keys: &'static str,
    values: &'static str,
}

impl KvTypes {
    /// The flags of llama-bench; the default needs none.
    pub fn flags(self) -> Vec<String> {
        if self == Self::default() {
            return Vec::new();
        }
        ["-ctk", self.keys, "-ctv", self.values].map(str::to_owned).into()
    }
}

impl Default for KvTypes {
    fn default() -> Self {
        Self { keys: DEFAULT, values: DEFAULT }
    }
}

impl FromStr for KvTypes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = |name: &str| {
            TYPES.into_iter().find(|known| *known == name).ok_or_else(|| {
                format!("{name:?} is no type of the KV cache; there are {}", TYPES.join(", "))
            })
        };
        let (keys, values) = text.split_once(':').unwrap_or((text, text));
        Ok(Self { keys: known(keys)?, values: known(values)? })
    }
}

impl fmt::Display for KvTypes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.keys)?;
        if self.keys == self.values { Ok(()) } else { write!(formatter, ":{}", self.values) }
    }
}

/// Whether a type keeps less than what the model computes, so that it needs flash attention for
/// values.
pub fn is_quantized(name: &str) -> bool {
    !matches!(name, "f32" | "f16" | "bf16")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_adds_no_flags_and_others_both() {
        let flags = |text: &str| text.parse::<KvTypes>().map(|types| types.flags().join(" "));
        assert_eq!(flags("f16").as_deref(), Ok(""));
        assert_eq!(flags("f16:f16").as_deref(), Ok(""));
        assert_eq!(flags("q8_0").as_deref(), Ok("-ctk q8_0 -ctv q8_0"));
        assert_eq!(flags("f16:q8_0").as_deref(), Ok("-ctk f16 -ctv q8_0"));
        for wrong in ["", "q8", "Q8_0", "q8_0:", "q8_0:q4_0:f16", "q4_0,q8_0"] {
            assert!(flags(wrong).is_err_and(|error| error.contains("iq4_nl")), "{wrong}");
        }
    }

    #[test]
    fn a_type_is_shown_as_it_is_given() {
        for text in ["f16", "q4_0:q8_0", "bf16"] {
            assert_eq!(text.parse::<KvTypes>().map(|types| types.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("q8_0:q8_0".parse::<KvTypes>().map(|t| t.to_string()), Ok("q8_0".to_owned()));
    }
}
