//! The alert rules are whole: each has its fields, its section in docs/alerts.md and its unit
//! tests, and names only metrics that halo has. promtool runs the unit tests in `.ci/run`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use halo::sample;
use halo::source::SOURCES;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    alert: Option<String>,
    pub(crate) record: Option<String>,
    pub(crate) expr: String,
    #[serde(rename = "for")]
    waits: Option<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TestFile {
    rule_files: Vec<String>,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    input_series: Vec<BTreeMap<String, String>>,
    #[serde(default, rename = "alert_rule_test")]
    alerts: Vec<AlertTest>,
    #[serde(default, rename = "promql_expr_test")]
    expressions: Vec<ExpressionTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Deserialize)]
struct ExpectedAlert {
    exp_labels: BTreeMap<String, String>,
    exp_annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ExpressionTest {
    expr: String,
    exp_samples: Vec<ExpectedSample>,
}

#[derive(Deserialize)]
struct ExpectedSample {
    labels: String,
}

#[derive(Deserialize)]
struct Alertmanager {
    inhibit_rules: Vec<Inhibition>,
}

#[derive(Deserialize)]
struct Inhibition {
    source_matchers: Vec<String>,
    target_matchers: Vec<String>,
    equal: Vec<String>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files of a directory, in order.
fn files<T: DeserializeOwned>(directory: &str) -> Vec<(PathBuf, T)> {
    let entries = fs::read_dir(repository().join(directory)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{directory} is empty");
    let parse = |path: PathBuf| {
        assert!(path.extension().is_some_and(|e| e == "yml"), "{}: not .yml", path.display());
        let content = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap());
        let content = content.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, content)
    };
    paths.into_iter().map(parse).collect()
}

/// Every rule with the name of its group.
pub(crate) fn rules() -> Vec<(String, Rule)> {
    let files = files::<RuleFile>("configs/prometheus/rules");
    let groups = files.into_iter().flat_map(|(_, file)| file.groups);
    groups
        .flat_map(|group| group.rules.into_iter().map(move |rule| (group.name.clone(), rule)))
        .collect()
}

/// The alerts by name.
fn alerts() -> BTreeMap<String, Rule> {
    let mut alerts = BTreeMap::new();
    for (_, rule) in rules() {
        if let Some(name) = rule.alert.clone() {
            assert!(alerts.insert(name.clone(), rule).is_none(), "{name} twice");
        }
    }
    assert!(alerts.len() > 20, "{} alerts", alerts.len());
    alerts
}

/// The recorded names.
fn records() -> BTreeSet<String> {
    rules().into_iter().filter_map(|(_, rule)| rule.record).collect()
}

fn unit_tests() -> Vec<(PathBuf, TestFile)> {
    files("tests/fixtures/rules")
}

/// The words of a text that begin like a metric of halo.
fn metric_names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("halo_") || word.starts_with("halo:"))
        .collect()
}

#[test]
fn every_alert_has_what_an_operator_needs() {
    for (name, rule) in alerts() {
        let minutes = rule.waits.as_deref().and_then(|waits| waits.strip_suffix('m'));
        assert!(minutes.is_some_and(|m| m.parse::<u32>().unwrap() > 0), "{name}: for, in minutes");
        let labels: Vec<(&str, &str)> =
            rule.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let [("severity", severity)] = labels.as_slice() else { panic!("{name}: {labels:?}") };
        assert!(["critical", "warning", "info"].contains(severity), "{name}: {severity}");
        let annotations: Vec<&str> = rule.annotations.keys().map(String::as_str).collect();
        assert_eq!(annotations, ["description", "runbook_url", "summary"], "{name}");
        let anchor = format!("docs/alerts.md#{}", name.to_lowercase());
        assert_eq!(rule.annotations["runbook_url"], anchor, "{name}");
        // The one alert without a machine is about the lack of any.
        if !rule.expr.contains("absent(") {
            for text in ["summary", "description"] {
                let text = &rule.annotations[text];
                assert!(text.contains("{{ $labels.instance }}"), "{name}: which machine? {text}");
            }
        }
        assert!(rule.annotations["description"].ends_with('.'), "{name}: a sentence");
    }
}

#[test]
fn recorded_names_follow_the_rules() {
    for name in records() {
        let levels: Vec<&str> = name.split(':').collect();
        assert!(
            matches!(levels.as_slice(), ["halo", what, operation]
            if !what.is_empty() && !operation.is_empty()),
            "{name}: halo:<what>:<operation>"
        );
    }
}

#[test]
fn every_alert_has_a_section_and_every_section_an_alert() {
    let alerts = alerts();
    let text = fs::read_to_string(repository().join("docs/alerts.md")).unwrap();
    let mut documented = BTreeSet::new();
    for section in text.split("\n## ").skip(1) {
        let (name, text) = section.split_once("\n\n").unwrap();
        if !name.starts_with("Halo") {
            continue;
        }
        assert!(documented.insert(name), "{name} twice");
        let rule = alerts.get(name).unwrap_or_else(|| panic!("no alert {name}"));
        let severity = &rule.labels["severity"];
        let minutes = rule.waits.as_ref().unwrap().trim_end_matches('m');
        let plural = if minutes == "1" { "" } else { "s" };
        let begins = format!("{severity}, after {minutes} minute{plural}");
        let first = text.lines().next().unwrap();
        let rest = first.to_lowercase();
        let rest = rest.strip_prefix(&begins).unwrap_or_else(|| panic!("{name}: {begins}"));
        assert!(rest.starts_with(['.', ';', ' ']), "{name}: {first}");
        let parts = text.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
        let parts: Vec<&str> = parts.map(|(part, _)| part).collect();
        assert_eq!(parts, ["Means", "Causes", "Check", "Do"], "{name}");
    }
    let names: BTreeSet<&str> = alerts.keys().map(String::as_str).collect();
    assert_eq!(documented, names);
}

#[test]
fn rules_and_their_page_name_only_metrics_that_exist() {
    let of_sources = SOURCES.iter().flat_map(|source| source.metrics);
    let declared: BTreeSet<&str> =
        of_sources.chain(sample::METRICS).map(|family| family.name).collect();
    let recorded = records();
    let is_known = |name: &str| declared.contains(name) || recorded.contains(name);
    for (group, rule) in rules() {
        let names = metric_names(&rule.expr);
        let title = rule.alert.or(rule.record).unwrap();
        assert!(!names.is_empty() || rule.expr.contains("up{"), "{group} {title} looks at nothing");
        for name in names {
            assert!(is_known(name), "{group} {title}: no metric {name}");
        }
    }
    let page = fs::read_to_string(repository().join("docs/alerts.md")).unwrap();
    for name in metric_names(&page) {
        assert!(is_known(name), "docs/alerts.md: no metric {name}");
    }
}

/// Each alert is seen to fire, to stay silent on a machine with data, and without any data.
#[test]
fn every_alert_has_unit_tests() {
    let alerts = alerts();
    let [mut fires, mut is_silent, mut has_no_data] = [(); 3].map(|()| BTreeSet::new());
    for (path, file) in unit_tests() {
        for rule_file in &file.rule_files {
            assert!(path.parent().unwrap().join(rule_file).exists(), "{}", path.display());
        }
        for test in &file.tests {
            for check in &test.alerts {
                let name = check.alertname.as_str();
                let rule = alerts.get(name);
                let rule = rule.unwrap_or_else(|| panic!("{}: {name}", path.display()));
                if test.input_series.is_empty() {
                    has_no_data.insert(name.to_owned());
                } else if check.exp_alerts.is_empty() {
                    is_silent.insert(name.to_owned());
                }
                for expected in &check.exp_alerts {
                    fires.insert(name.to_owned());
                    assert_eq!(expected.exp_labels["severity"], rule.labels["severity"], "{name}");
                    assert!(expected.exp_annotations.keys().eq(rule.annotations.keys()), "{name}");
                }
            }
        }
    }
    let names: BTreeSet<String> = alerts.into_keys().collect();
    assert_eq!(fires, names, "seen firing");
    assert_eq!(is_silent, names, "seen silent beside data");
    assert_eq!(has_no_data, names, "seen without data");
}

/// Each recording rule gives a value somewhere, and none without data.
#[test]
fn every_recording_rule_has_unit_tests() {
    let mut gives = BTreeSet::new();
    let mut gives_nothing = BTreeSet::new();
    for (_, file) in unit_tests() {
        for test in file.tests {
            for check in test.expressions {
                // The others look at when an alert fires.
                let Some(name) = metric_names(&check.expr).first().map(|&name| name.to_owned())
                else {
                    continue;
                };
                if check.exp_samples.is_empty() && test.input_series.is_empty() {
                    gives_nothing.insert(name.clone());
                }
                for sample in check.exp_samples {
                    gives.insert((name.clone(), sample.labels));
                }
            }
        }
    }
    for (_, rule) in rules() {
        let Some(name) = rule.record else { continue };
        let labels: Vec<String> =
            rule.labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let is_tested = gives.iter().any(|(tested, shown)| {
            *tested == name && labels.iter().all(|label| shown.contains(label))
        });
        assert!(is_tested, "{name} {:?}", rule.labels);
        assert!(gives_nothing.contains(&name), "{name} without data");
    }
}

#[test]
fn alertmanager_inhibits_alerts_that_exist() {
    let path = repository().join("configs/alertmanager/alertmanager.yml");
    let text = fs::read_to_string(path).unwrap();
    let configuration: Alertmanager = serde_saphyr::from_str(&text).unwrap();
    let alerts = alerts();
    assert!(configuration.inhibit_rules.len() > 10);
    for rule in configuration.inhibit_rules {
        assert!(rule.equal.starts_with(&["job".to_owned(), "instance".to_owned()]), "one machine");
        for matchers in [rule.source_matchers, rule.target_matchers] {
            let names = matchers.iter().filter(|matcher| matcher.starts_with("alertname"));
            assert!(names.clone().count() > 0, "{matchers:?}");
            for matcher in names {
                let (_, names) = matcher.split_once("= ").or(matcher.split_once("=~ ")).unwrap();
                let names = names.trim_matches('"');
                for name in names.split('|').filter(|name| *name != "Halo.+") {
                    assert!(alerts.contains_key(name), "{matcher}: no alert {name}");
                }
            }
        }
    }
}
