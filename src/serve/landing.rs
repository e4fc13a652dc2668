//! The page at `/`: where the metrics are, and how each source does.

use std::fmt::Write;

use crate::root::Reason;
use crate::sample::{Snapshot, SourceState};

const STYLE: &str = "
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top }
td:nth-child(3) { text-align: right; font-variant-numeric: tabular-nums }
th:nth-child(3) { text-align: right }
.failing { font-weight: bold }
.absent { opacity: .6 }
";

/// The page as HTML.
pub(super) fn page(snapshot: &Snapshot, telemetry_path: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut rows = String::new();
    for state in snapshot.states() {
        let (class, text) = status(state);
        let series = state.values().len();
        let (name, about) = (state.source.name, state.source.about);
        // Writing to a string cannot fail.
        let _ = writeln!(
            rows,
            "<tr class=\"{class}\"><td><a href=\"{path}?collect[]={name}\">{name}</a></td><td>{text}</td><td>{series}</td><td>{about}</td></tr>",
            path = escape(telemetry_path),
            text = escape(&text),
        );
    }
    format!(
        "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>halo-exporter</title>
<style>{STYLE}</style>
</head>
<body>
<h1>halo-exporter</h1>
<p>Version {version}. What limits local language models on this machine, for Prometheus.</p>
<ul>
<li><a href=\"{path}\">Metrics</a></li>
<li><a href=\"/-/healthy\">Health</a> and <a href=\"/-/ready\">readiness</a></li>
</ul>
<table>
<thead><tr><th scope=\"col\">Source</th><th scope=\"col\">State</th><th scope=\"col\">Series</th><th scope=\"col\">What it measures</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
<p>A source that is absent or failing: <code>halo-exporter --doctor</code> says what is missing.</p>
</body>
</html>
",
        path = escape(telemetry_path),
    )
}

fn status(state: &SourceState) -> (&'static str, String) {
    let reasons: Vec<&str> = state.reasons().into_iter().map(Reason::as_str).collect();
    match (state.is_absent(), state.is_up(), reasons.is_empty()) {
        (true, ..) => ("absent", "absent".to_owned()),
        (_, true, true) => ("up", "up".to_owned()),
        (_, true, false) => ("failing", format!("up, in part: {}", reasons.join(", "))),
        _ => ("failing", format!("failing: {}", reasons.join(", "))),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
