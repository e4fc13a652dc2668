//! A figure, as it stands in `results.parquet`.

/// One figure: a line of `results.parquet`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The benchmark or eval in the run.
    pub task: String,
    /// What was measured in it, as `pp512`.
    pub case: String,
    /// Which repetition, counted from 1; none for a figure over all of them.
    pub repetition: Option<u32>,
    /// As `tokens_per_second`.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// The unit of the value, as `1/s`; empty for a number without one.
    pub unit: String,
}
