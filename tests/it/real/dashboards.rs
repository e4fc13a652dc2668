//! A real Prometheus answers every query of every dashboard: of a machine that changes, with a real
//! llama-server and recorded runs; and of runs that were filled in months later.

mod backfilled;
mod live;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::free_address;
use super::process::{Running, get};
use crate::dashboards::{Dashboard, promql};

/// Starts Prometheus with `prometheus.yml` and the blocks in `data` of a directory.
fn start_prometheus(directory: &Path) -> (Running, SocketAddr) {
    let address = free_address();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg("--storage.tsdb.retention.time=10y")
        .arg(format!("--web.listen-address={address}"));
    let mut running = Running::start(&mut command, &directory.join("prometheus.log"));
    running.wait("Prometheus", || get(address, "/-/ready"));
    (running, address)
}

#[derive(Deserialize)]
struct Answer<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    result: Vec<Series>,
}

/// A series: of a moment, or of a time.
#[derive(Debug, Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// What a user looks at.
#[derive(Clone, Copy)]
struct View {
    prometheus: SocketAddr,
    /// Seconds since 1970.
    start: f64,
    end: f64,
    /// Seconds.
    step: f64,
}

impl View {
    fn ask<T: for<'a> Deserialize<'a>>(&self, path: &str, pairs: &[(&str, String)]) -> T {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in pairs {
            query.append_pair(key, value);
        }
        let url = format!("/api/v1/{path}?{}", query.finish());
        let text = get(self.prometheus, &url);
        let text = text.unwrap_or_else(|| panic!("no answer to {pairs:?}"));
        let answer: Answer<T> = serde_json::from_str(&text).unwrap();
        assert_eq!(answer.status, "success", "{pairs:?}: {:?}", answer.error);
        answer.data.unwrap()
    }

    fn instant(&self, query: &str) -> Vec<Series> {
        let pairs = [("query", query.to_owned()), ("time", self.end.to_string())];
        self.ask::<Found>("query", &pairs).result
    }

    fn range(&self, query: &str) -> Vec<Series> {
        let [start, end, step] = [self.start, self.end, self.step].map(|one| one.to_string());
        let pairs = [("query", query.to_owned()), ("start", start), ("end", end), ("step", step)];
        self.ask::<Found>("query_range", &pairs).result
    }

    /// The values of a label, of the time that is looked at.
    fn labels(&self, selector: &str, label: &str) -> Vec<String> {
        let [start, end] = [self.start, self.end].map(|one| one.to_string());
        let pairs = [("match[]", selector.to_owned()), ("start", start), ("end", end)];
        self.ask(&format!("label/{label}/values"), &pairs)
    }

    /// Replaces what Grafana replaces in a query.
    fn interpolate(&self, text: &str, values: &BTreeMap<String, String>) -> String {
        // As Grafana with this step: no less than four scrapes, which are a second apart at most.
        let text = text.replace("$__rate_interval", "4s");
        let text = text.replace("$__range", &format!("{}s", (self.end - self.start).round()));
        promql::interpolate(&text, |name| values[name].clone())
    }

    /// The values of all variables of a dashboard as Grafana would choose them at first: all where
    /// that is possible, otherwise the first; those that are `given` stay.
    fn variables(
        &self,
        dashboard: &Dashboard,
        given: &[(&str, String)],
    ) -> BTreeMap<String, String> {
        let mut values: BTreeMap<String, String> =
            given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        for variable in dashboard.variables() {
            let name = variable["name"].as_str().unwrap();
            if values.contains_key(name) {
                continue;
            }
            let value = match variable["type"].as_str().unwrap() {
                "datasource" => continue,
                "custom" => variable["current"]["value"].as_str().unwrap().to_owned(),
                _ if variable["includeAll"] == true => {
                    variable["allValue"].as_str().unwrap().to_owned()
                }
                _ => {
                    let options = self.options(variable, &values);
                    let first = options.first();
                    first.unwrap_or_else(|| panic!("{}: no {name}", dashboard.name)).clone()
                }
            };
            values.insert(name.to_owned(), value);
        }
        values
    }

    /// The values that a variable offers, in its order.
    fn options(&self, variable: &Value, values: &BTreeMap<String, String>) -> Vec<String> {
        let definition = self.interpolate(variable["definition"].as_str().unwrap(), values);
        let inner = definition.split_once('(').unwrap().1.strip_suffix(')').unwrap();
        if definition.starts_with("label_values(") {
            let (selector, label) = inner.rsplit_once(", ").unwrap();
            return self.labels(selector, label);
        }
        let pattern = variable["regex"].as_str().unwrap().trim_matches('/');
        let pattern = Regex::new(pattern).unwrap();
        let mut options: Vec<(String, String)> = self
            .instant(inner)
            .iter()
            .filter_map(|series| {
                let text = metric_text(series);
                let found = pattern.captures(&text)?;
                let value = found.name("value").or_else(|| found.get(1))?.as_str();
                let text = found.name("text").map_or(value, |text| text.as_str());
                Some((text.to_owned(), value.to_owned()))
            })
            .collect();
        match variable["sort"].as_u64() {
            Some(0) => {}
            Some(1) => options.sort(),
            Some(2) => options.sort_by(|one, other| other.cmp(one)),
            other => panic!("{other:?}: a sort that this does not know"),
        }
        options.into_iter().map(|(_, value)| value).collect()
    }
}

/// What Grafana makes of a result before the regular expression looks at it.
fn metric_text(series: &Series) -> String {
    let labels: Vec<String> =
        series.metric.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let (time, value) = series.value.as_ref().unwrap();
    format!("{{{}}} {value} {}", labels.join(","), (time * 1000.0).round())
}
