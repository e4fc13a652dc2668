//! The short metadata in the header of a GGUF model file.
//!
//! Layout: `docs/gguf.md` of ggml, versions 2 and 3, little endian: magic, version, number of
//! tensors, number of pairs, then each pair as key, type and value. What follows the pairs is
//! never read, and arrays (a vocabulary has hundreds of thousands of strings) are passed over.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Seek, SeekFrom};

use serde_json::Value;

/// More pairs than any model has; real ones have some tens.
const MOST_PAIRS: u64 = 4096;

/// The longest key that the format allows.
const LONGEST_KEY: u64 = 65_535;

/// Longer keys and strings are texts (licences, descriptions), not facts for an archive.
const LONGEST_KEPT: u64 = 256;

/// No header is longer; the largest vocabularies fill some 20 MB.
const LONGEST_HEADER: u64 = 64 << 20;

/// Why a header was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {what}")]
pub struct Refusal {
    /// Where in the file.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

/// Reads the metadata: numbers, truths, and strings of up to 256 bytes. Of the keys
/// `tokenizer.*`, which describe the vocabulary, only `tokenizer.ggml.model` is kept.
pub fn metadata(file: &mut (impl BufRead + Seek)) -> Result<BTreeMap<String, Value>, Refusal> {
    let mut header = Header { offset: 0, length: u64::MAX, file };
    header.length = header.file_length()?;
    if header.bytes::<4>()? != *b"GGUF" {
        return Err(Refusal { offset: 0, what: "this is no GGUF file".to_owned() });
    }
    match u32::from_le_bytes(header.bytes()?) {
        2 | 3 => {}
        version if version.swap_bytes() <= 3 => {
            return header.refuse("big-endian GGUF is not read");
        }
        version => return header.refuse(&format!("GGUF version {version}; halo reads 2 and 3")),
    }
    let _tensors: [u8; 8] = header.bytes()?;
    let pairs = header.length_field()?;
    if pairs > MOST_PAIRS {
        return header.refuse(&format!("{pairs} pairs of metadata are more than any model has"));
    }
    let mut metadata = BTreeMap::new();
    for _ in 0..pairs {
        let key = header.key()?;
        let kind = u32::from_le_bytes(header.bytes()?);
        let value = header.value(kind)?;
        if let (Some(key), Some(value)) = (key.filter(|key| is_kept(key)), value) {
            metadata.insert(key, value);
        }
    }
    Ok(metadata)
}

/// How the weights of a model are stored, by its `general.file_type`: `llama_ftype` of `llama.h`,
/// b11434. `None` if it does not say so, or says something newer.
pub fn file_type(metadata: &BTreeMap<String, Value>) -> Option<&'static str> {
    Some(match metadata.get("general.file_type")?.as_u64()? {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        36 => "TQ1_0",
        37 => "TQ2_0",
        38 => "MXFP4",
        _ => return None,
    })
}

fn is_kept(key: &str) -> bool {
    !key.starts_with("tokenizer.") || key == "tokenizer.ggml.model"
}

/// A header while it is read.
struct Header<'a, F> {
    file: &'a mut F,
    offset: u64,
    length: u64,
}

impl<F: BufRead + Seek> Header<'_, F> {
    fn file_length(&mut self) -> Result<u64, Refusal> {
        let length = self.file.seek(SeekFrom::End(0)).and_then(|length| {
            self.file.rewind()?;
            Ok(length)
        });
        length.or_else(|error| self.fail(&error))
    }

    fn refuse<T>(&self, what: &str) -> Result<T, Refusal> {
        Err(Refusal { offset: self.offset, what: what.to_owned() })
    }

    fn fail<T>(&self, error: &io::Error) -> Result<T, Refusal> {
        self.refuse(&format!("cannot be read: {error}"))
    }

    /// Refuses what is longer than the file, before memory or time is spent on it.
    fn demand(&self, bytes: u64) -> Result<(), Refusal> {
        match self.offset.checked_add(bytes) {
            Some(end) if end > LONGEST_HEADER => self.refuse("the header is too long to be true"),
            Some(end) if end <= self.length => Ok(()),
            _ => self.refuse(&format!("{bytes} bytes are said to follow, but the file ends")),
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Refusal> {
        self.demand(bytes.len() as u64)?;
        if let Err(error) = self.file.read_exact(bytes) {
            return self.fail(&error);
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.demand(bytes)?;
        // Less than the longest header, so it fits.
        if let Err(error) = self.file.seek_relative(i64::try_from(bytes).unwrap_or(i64::MAX)) {
            return self.fail(&error);
        }
        self.offset += bytes;
        Ok(())
    }

    fn length_field(&mut self) -> Result<u64, Refusal> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    /// A key, where it is short enough to be kept.
    fn key(&mut self) -> Result<Option<String>, Refusal> {
        let length = self.length_field()?;
        if length > LONGEST_KEY {
            return self.refuse(&format!("a key of {length} bytes is longer than GGUF allows"));
        }
        self.text(length)
    }

    /// A string whose length was read, where it is short enough to be kept.
    fn text(&mut self, length: u64) -> Result<Option<String>, Refusal> {
        if length > LONGEST_KEPT {
            return self.skip(length).map(|()| None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.fill(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A value; none where it is too long to be kept, or no number that JSON has.
    fn value(&mut self, kind: u32) -> Result<Option<Value>, Refusal> {
        Ok(match kind {
            0 => Some(u8::from_le_bytes(self.bytes()?).into()),
            1 => Some(i8::from_le_bytes(self.bytes()?).into()),
            2 => Some(u16::from_le_bytes(self.bytes()?).into()),
            3 => Some(i16::from_le_bytes(self.bytes()?).into()),
            4 => Some(u32::from_le_bytes(self.bytes()?).into()),
            5 => Some(i32::from_le_bytes(self.bytes()?).into()),
            6 => decimal(f32::from_le_bytes(self.bytes()?)),
            7 => Some((u8::from_le_bytes(self.bytes()?) != 0).into()),
            8 => {
                let length = self.length_field()?;
                self.text(length)?.map(Value::from)
            }
            9 => {
                self.skip_array()?;
                None
            }
            10 => Some(u64::from_le_bytes(self.bytes()?).into()),
            11 => Some(i64::from_le_bytes(self.bytes()?).into()),
            12 => finite(f64::from_le_bytes(self.bytes()?)),
            _ => return self.refuse(&format!("{kind} is no type of a GGUF value")),
        })
    }

    fn skip_array(&mut self) -> Result<(), Refusal> {
        let kind = u32::from_le_bytes(self.bytes()?);
        let count = self.length_field()?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            // A string takes its length's bytes at least.
            8 | 10..=12 => 8,
            9 => return self.refuse("an array of arrays, which no model has"),
            _ => return self.refuse(&format!("{kind} is no type of a GGUF value")),
        };
        let bytes = count.saturating_mul(width);
        if kind != 8 {
            return self.skip(bytes);
        }
        self.demand(bytes)?;
        for _ in 0..count {
            let length = self.length_field()?;
            self.skip(length)?;
        }
        Ok(())
    }
}

fn finite(value: f64) -> Option<Value> {
    serde_json::Number::from_f64(value).map(Value::from)
}

/// The shortest decimal that is this number, as whoever wrote the file typed it: 0.00001, not
/// 0.000009999999747378752.
fn decimal(value: f32) -> Option<Value> {
    value.to_string().parse().ok().and_then(finite)
}
