//! What the names of the toolkit's logs say:
//! `MODEL__BACKEND__fa1[__ppN_tgN][__longctxN][__kv_K-V][__bN].log`.

use crate::run::manifest::Tags;

/// What the name of a log says about its cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogName {
    /// The model.
    pub model: String,
    /// The backend, with the characters that a file name may have.
    pub backend: String,
    /// The depth of the long-context test.
    pub depth: Option<u32>,
    /// The types of the KV cache, as halo writes them.
    pub kv: Option<String>,
    /// The batch.
    pub batch: Option<u32>,
}

impl LogName {
    /// Reads a file's name; none where it is no log of the toolkit.
    pub fn of(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".log")?;
        let mut parts = stem.split("__");
        let (model, backend) = (parts.next()?, parts.next()?);
        if model.is_empty() || backend.is_empty() || parts.next()? != "fa1" {
            return None;
        }
        let mut found = Self {
            model: model.to_owned(),
            backend: backend.to_owned(),
            depth: None,
            kv: None,
            batch: None,
        };
        for part in parts {
            if let Some(depth) = part.strip_prefix("longctx") {
                found.depth = Some(depth.parse().ok()?);
            } else if let Some(types) = part.strip_prefix("kv_") {
                // The toolkit itself took the batch behind it for a part of the type.
                let (keys, values) = types.split_once('-')?;
                let same = keys == values;
                found.kv = Some(if same { keys.to_owned() } else { format!("{keys}:{values}") });
            } else if let Some(batch) = part.strip_prefix('b') {
                found.batch = Some(batch.parse().ok()?);
            } else {
                // `pp512_tg128`: the rows say it too.
                let (prompt, generation) = part.strip_prefix("pp")?.split_once("_tg")?;
                let _: (u32, u32) = (prompt.parse().ok()?, generation.parse().ok()?);
            }
        }
        Some(found)
    }

    /// The same as tags; a log without KV types is one of f16.
    pub fn tags(&self) -> Tags {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let kv = Some(self.kv.clone().unwrap_or_else(|| "f16".to_owned()));
        [
            ("backend", Some(self.backend.clone())),
            ("kv", kv),
            ("batch", number(self.batch)),
            ("depth", number(self.depth)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Some(value?))))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_name_is_read() {
        let all = "Qwen3.5-9B-Q4_K_S__llama-rocm-7_2_1__fa1__pp512_tg128__longctx32768__kv_q4_0-q8_0__b256.log";
        let log = LogName::of(all).expect("a log");
        assert_eq!((&*log.model, &*log.backend), ("Qwen3.5-9B-Q4_K_S", "llama-rocm-7_2_1"));
        assert_eq!(
            (log.depth, log.kv.as_deref(), log.batch),
            (Some(32768), Some("q4_0:q8_0"), Some(256))
        );
        let tags: Vec<String> = log.tags().into_keys().collect();
        assert_eq!(tags, ["backend", "batch", "depth", "kv"]);

        let least = LogName::of("m__llama-vulkan-radv__fa1.log").expect("a log");
        assert_eq!((least.depth, least.kv.clone(), least.batch), (None, None, None));
        assert_eq!(least.tags()["kv"].as_deref(), Some("f16"));
        let same = LogName::of("m__b__fa1__kv_q8_0-q8_0.log").expect("a log");
        assert_eq!(same.kv.as_deref(), Some("q8_0"));
        for other in [
            "x.log",
            "m__b.log",
            "m__b__fa0.log",
            "__b__fa1.log",
            "m__b__fa1__x.log",
            "m__b__fa1__longctx.log",
            "m__b__fa1",
        ] {
            assert_eq!(LogName::of(other), None, "{other}");
        }
    }
}
