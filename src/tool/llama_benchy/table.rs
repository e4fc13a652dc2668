//! The table that llama-benchy prints where nobody asks for JSON.

use crate::tool::Row;

/// The columns, how halo calls them, their unit and what they have to be divided by.
const COLUMNS: [(&str, &str, &str, f64); 6] = [
    ("t/s", "tokens_per_second", "1/s", 1.0),
    ("t/s (total)", "tokens_per_second", "1/s", 1.0),
    ("peak t/s", "peak_tokens_per_second", "1/s", 1.0),
    ("ttfr (ms)", "time_to_first_response", "s", 1000.0),
    ("est_ppt (ms)", "prompt_processing_time", "s", 1000.0),
    ("e2e_ttft (ms)", "time_to_first_token", "s", 1000.0),
];

/// The figures: means with their standard deviations.
pub(super) fn rows(text: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text.lines().map(str::trim).filter(|line| line.starts_with('|'));
    let Some(head) = lines.by_ref().map(cells).find(|head| head.contains(&"test".to_owned()))
    else {
        return Vec::new();
    };
    let place = |name: &str| head.iter().position(|cell| cell == name);
    let Some(named) = place("test") else { return Vec::new() };
    let mut rows = Vec::new();
    for cells in lines.map(cells) {
        let Some(case) = cells.get(named).filter(|case| !case.contains("--")) else { continue };
        for (column, metric, unit, divisor) in COLUMNS {
            let cell = place(column).and_then(|place| cells.get(place));
            let Some((mean, deviation)) = cell.and_then(|cell| cell.split_once('±')) else {
                continue;
            };
            for (end, figure) in [("_mean", mean), ("_standard_deviation", deviation)] {
                let Ok(value) = figure.trim().parse::<f64>() else { continue };
                rows.push(Row {
                    task: "llama-benchy".to_owned(),
                    case: case.clone(),
                    repetition: None,
                    metric: format!("{metric}{end}"),
                    value: value / divisor,
                    unit: unit.to_owned(),
                });
            }
        }
    }
    rows
}
