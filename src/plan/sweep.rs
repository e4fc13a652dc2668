//! The matrix of a campaign: models × backends × KV types × batches × depths.

use super::kv::KvTypes;
use super::order::Order;
use crate::run::cell::BenchmarkCell;

/// What a prompt is at least, however small the context is.
const LEAST_PROMPT: u32 = 512;

/// Which part of the context the prompt of a long-context test is: the scale of the published
/// tests of this chip, 2048 at 32768 and 16384 at 262144.
const PROMPT_OF_CONTEXT: u32 = 16;

/// How often a long-context test is repeated where the user does not say it: filling the context
/// takes most of its time.
const LONG_CONTEXT_REPETITIONS: u32 = 3;

/// What the user wants to measure with each model and backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Types of the KV cache.
    pub kv_types: Vec<KvTypes>,
    /// `--batch-size`; none leaves it to llama-bench.
    pub batches: Vec<u32>,
    /// `--ubatch-size`; none leaves it to llama-bench, and to the backend for long contexts.
    pub ubatches: Vec<u32>,
    /// Tokens of the prompt in the standard test.
    pub prompt: u32,
    /// Tokens that are generated in both tests.
    pub generation: u32,
    /// Depths of the long-context test; none leaves it out.
    pub contexts: Vec<u32>,
    /// How often each test is repeated.
    pub repetitions: Repetitions,
    /// The order of the cells.
    pub order: Order,
}

/// How often a test is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetitions {
    /// As the user said, in every test.
    Every(u32),
    /// So often in the standard test, and less in the long-context test.
    Standard(u32),
}

impl Repetitions {
    fn in_test(self, depth: u32) -> u32 {
        match self {
            Self::Every(count) => count,
            Self::Standard(count) if depth == 0 => count,
            Self::Standard(count) => count.min(LONG_CONTEXT_REPETITIONS),
        }
    }
}

/// What of a backend decides over its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendOf<'a> {
    /// Its name.
    pub name: &'a str,
    /// The `--ubatch-size` of its long-context tests.
    pub ubatch_long_context: Option<u32>,
}

impl Sweep {
    /// The cells of the matrix, each once, in the order in which they run.
    pub fn cells(
        &self,
        models: &[&str],
        backends: &[BackendOf<'_>],
        seed: &str,
    ) -> Vec<BenchmarkCell> {
        let mut cells: Vec<BenchmarkCell> = Vec::new();
        for model in models {
            for backend in backends {
                for kv in &self.kv_types {
                    for batch in or_none(&self.batches) {
                        for ubatch in or_none(&self.ubatches) {
                            for depth in std::iter::once(0).chain(self.contexts.iter().copied()) {
                                let long = ubatch.or(backend.ubatch_long_context);
                                let cell = BenchmarkCell {
                                    model: (*model).to_owned(),
                                    backend: backend.name.to_owned(),
                                    kv: kv.to_string(),
                                    batch,
                                    ubatch: if depth == 0 { ubatch } else { long },
                                    depth,
                                    prompt: self.prompt_at(depth),
                                    generation: self.generation,
                                    repetitions: self.repetitions.in_test(depth),
                                    round: None,
                                };
                                if !cells.contains(&cell) {
                                    cells.push(cell);
                                }
                            }
                        }
                    }
                }
            }
        }
        self.order.arrange(cells, seed)
    }

    fn prompt_at(&self, depth: u32) -> u32 {
        match depth {
            0 => self.prompt,
            depth => (depth / PROMPT_OF_CONTEXT).max(LEAST_PROMPT),
        }
    }
}

fn or_none(values: &[u32]) -> Vec<Option<u32>> {
    match values {
        [] => vec![None],
        values => values.iter().copied().map(Some).collect(),
    }
}

/// The flags of llama-bench for a cell, as the oldest and the newest that is known understand them
/// after their translation: all layers on the GPU, no memory mapping, flash attention. Without
/// these, this chip crashes or is slow.
pub fn flags(cell: &BenchmarkCell, model: &str) -> Vec<String> {
    let mut flags: Vec<String> =
        ["-ngl", "99", "-mmp", "0", "-fa", "1", "-m", model].map(str::to_owned).into();
    let mut add = |name: &str, value: u32| flags.extend([name.to_owned(), value.to_string()]);
    add("-p", cell.prompt);
    add("-n", cell.generation);
    if cell.depth > 0 {
        add("-d", cell.depth);
    }
    if let Some(batch) = cell.batch {
        add("-b", batch);
    }
    if let Some(ubatch) = cell.ubatch {
        add("-ub", ubatch);
    }
    add("-r", cell.repetitions);
    let kv: KvTypes = cell.kv.parse().unwrap_or_default();
    flags.extend(kv.flags());
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep() -> Sweep {
        Sweep {
            kv_types: vec![KvTypes::default()],
            batches: Vec::new(),
            ubatches: Vec::new(),
            prompt: 512,
            generation: 128,
            contexts: vec![32768],
            repetitions: Repetitions::Standard(5),
            order: Order::Fixed,
        }
    }

    const ROCM: BackendOf<'_> =
        BackendOf { name: "llama-rocm-7.2.1", ubatch_long_context: Some(2048) };

    #[test]
    fn the_defaults_are_those_of_the_published_tests() {
        let cells = sweep().cells(&["m"], &[ROCM], "");
        let flags: Vec<String> =
            cells.iter().map(|cell| flags(cell, "/m.gguf").join(" ")).collect();
        assert_eq!(
            flags,
            [
                "-ngl 99 -mmp 0 -fa 1 -m /m.gguf -p 512 -n 128 -r 5",
                "-ngl 99 -mmp 0 -fa 1 -m /m.gguf -p 2048 -n 128 -d 32768 -ub 2048 -r 3",
            ]
        );
    }

    #[test]
    fn prompts_of_long_contexts_are_scaled() {
        let prompts: Vec<u32> =
            [256, 32768, 65536, 131_072, 262_144].map(|depth| sweep().prompt_at(depth)).into();
        assert_eq!(prompts, [512, 2048, 4096, 8192, 16384]);
    }

    #[test]
    fn batch_and_kv_type_both_survive() {
        let sweep = Sweep {
            kv_types: vec!["q4_0:q8_0".parse().unwrap_or_default()],
            batches: vec![256],
            contexts: Vec::new(),
            repetitions: Repetitions::Every(2),
            ..sweep()
        };
        let cells = sweep.cells(&["m"], &[ROCM], "");
        assert_eq!(cells.len(), 1);
        assert_eq!((cells[0].kv.as_str(), cells[0].batch), ("q4_0:q8_0", Some(256)));
        let flags = flags(&cells[0], "m").join(" ");
        assert!(flags.ends_with("-b 256 -r 2 -ctk q4_0 -ctv q8_0"), "{flags}");
    }

    #[test]
    fn rounds_go_forwards_and_backwards() {
        let sweep = Sweep {
            order: Order::Interleaved,
            contexts: Vec::new(),
            repetitions: Repetitions::Every(3),
            ..sweep()
        };
        let cells = sweep.cells(&["a", "b"], &[ROCM], "");
        let order: Vec<(&str, Option<u32>)> =
            cells.iter().map(|cell| (cell.model.as_str(), cell.round)).collect();
        let expected =
            [("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)].map(|(m, r)| (m, Some(r)));
        assert_eq!(order, expected);
        assert!(cells.iter().all(|cell| cell.repetitions == 1));
    }

    #[test]
    fn a_shuffle_is_the_same_for_its_seed_and_loses_nothing() {
        let models: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        let in_order = sweep().cells(&models, &[ROCM], "");
        let shuffled = Sweep { order: Order::Shuffled, ..sweep() };
        let first = shuffled.cells(&models, &[ROCM], "seed");
        assert_eq!(first, shuffled.cells(&models, &[ROCM], "seed"));
        assert_ne!(first, shuffled.cells(&models, &[ROCM], "other"));
        assert_ne!(first, in_order);
        let sorted = |mut cells: Vec<BenchmarkCell>| {
            cells.sort();
            cells
        };
        assert_eq!(sorted(first), sorted(in_order));
    }
}
