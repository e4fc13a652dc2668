//! In which order the cells of a campaign run. Heat accumulates, so that the last cells are
//! measured on a warmer machine than the first ones.

use ring::digest::{SHA256, digest};

use crate::run::cell::BenchmarkCell;

/// The order of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// As they are given: model by model, backend by backend.
    Fixed,
    /// By chance, the same for the same seed.
    Shuffled,
    /// A repetition of every cell in each round, the rounds forwards and backwards in turn.
    Interleaved,
}

impl Order {
    /// Its name, as the user gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Shuffled => "shuffled",
            Self::Interleaved => "interleaved",
        }
    }

    /// Puts cells into this order.
    pub fn arrange(self, mut cells: Vec<BenchmarkCell>, seed: &str) -> Vec<BenchmarkCell> {
        match self {
            Self::Fixed => cells,
            Self::Shuffled => {
                cells.sort_by_cached_key(|cell| {
                    digest(&SHA256, format!("{seed} {cell}").as_bytes()).as_ref().to_vec()
                });
                cells
            }
            Self::Interleaved => interleaved(&cells),
        }
    }
}

fn interleaved(cells: &[BenchmarkCell]) -> Vec<BenchmarkCell> {
    let rounds = cells.iter().map(|cell| cell.repetitions).max().unwrap_or_default();
    let mut arranged = Vec::new();
    for round in 1..=rounds {
        let in_round = cells.iter().filter(|cell| cell.repetitions >= round);
        let once = in_round.map(|cell| BenchmarkCell {
            repetitions: 1,
            round: Some(round),
            ..cell.clone()
        });
        if round % 2 == 1 {
            arranged.extend(once);
        } else {
            arranged.extend(once.rev());
        }
    }
    arranged
}
