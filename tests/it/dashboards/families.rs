//! Queries name what halo has, and what halo has is shown.

use std::collections::{BTreeMap, BTreeSet};

use super::promql::{self, Parsed, RATE_INTERVAL};
use super::{assert_all_used, dashboards, exceptions};
use crate::rules;

/// Labels that Prometheus adds when it scrapes.
const TARGET: [&str; 2] = ["job", "instance"];

/// The labels of every name that a query may use.
fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let own = |labels: &[&str]| labels.iter().chain(&TARGET).map(|&l| l.to_owned()).collect();
    for (name, (def, _)) in crate::catalogue::families() {
        known.insert(name.to_owned(), own(def.labels));
    }
    known.insert("up".to_owned(), own(&[]));
    let mut of_alerts: BTreeSet<String> = own(&["alertname", "alertstate"]);
    // Alerts look at what is recorded.
    let (recording, alerting): (Vec<_>, Vec<_>) =
        rules::rules().into_iter().map(|(_, rule)| rule).partition(|rule| rule.record.is_some());
    for rule in recording.into_iter().chain(alerting) {
        let parsed = promql::parse(&rule.expr);
        let mut labels: BTreeSet<String> = rule.labels.keys().cloned().collect();
        for selector in &parsed.selectors {
            labels.extend(known.get(&selector.name).into_iter().flatten().cloned());
        }
        match rule.record {
            Some(name) => known.entry(name).or_default().extend(labels),
            None => of_alerts.extend(labels),
        }
    }
    known.insert("ALERTS".to_owned(), of_alerts);
    known
}

/// Checks a query against the labels of its metrics; gives the labels that its result may have.
fn check(
    place: &str,
    parsed: &Parsed,
    known: &BTreeMap<String, BTreeSet<String>>,
    excused: &mut BTreeSet<String>,
) -> BTreeSet<String> {
    let listed = exceptions().labels;
    let mut possible = parsed.made.clone();
    for selector in &parsed.selectors {
        let labels = known.get(&selector.name);
        let labels = labels.unwrap_or_else(|| panic!("{place}: no metric {}", selector.name));
        for matcher in &selector.matchers {
            let excuse = format!("{} {}", selector.name, matcher.name);
            if !labels.contains(&matcher.name) {
                assert!(listed.contains_key(&excuse), "{place}: no label {excuse}");
                excused.insert(excuse);
            }
        }
        possible.extend(labels.iter().cloned());
    }
    for label in &parsed.labels {
        assert!(possible.contains(label), "{place}: no metric there has the label {label}");
    }
    possible
}

/// The labels in `{{…}}` of a legend.
fn legend(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next())
}

#[test]
fn queries_name_only_metrics_and_labels_that_exist() {
    let known = labels();
    let mut excused = BTreeSet::new();
    for dashboard in dashboards() {
        for query in dashboard.queries() {
            let place = dashboard.place(query.panel);
            let possible = check(&place, &promql::parse(query.expression), &known, &mut excused);
            for label in legend(query.target["legendFormat"].as_str().unwrap()) {
                assert!(possible.contains(label), "{place}: a legend with {label}");
            }
        }
        for annotation in dashboard.json["annotations"]["list"].as_array().unwrap() {
            let Some(expression) = annotation["expr"].as_str() else { continue };
            let place = format!("{}, annotation {}", dashboard.name, annotation["name"]);
            let possible = check(&place, &promql::parse(expression), &known, &mut excused);
            let tags = annotation["tagKeys"].as_str().unwrap().split(',');
            let formats = ["titleFormat", "textFormat"].map(|key| annotation[key].as_str());
            for label in tags.chain(formats.iter().flat_map(|text| legend(text.unwrap()))) {
                assert!(possible.contains(label), "{place}: {label}");
            }
        }
        for variable in dashboard.variables() {
            let Some(definition) = variable["definition"].as_str() else { continue };
            let place = format!("{}, variable {}", dashboard.name, variable["name"]);
            let inner = definition.split_once('(').unwrap().1.strip_suffix(')').unwrap();
            if definition.starts_with("query_result(") {
                check(&place, &promql::parse(inner), &known, &mut excused);
            } else {
                assert!(definition.starts_with("label_values("), "{place}: {definition}");
                let (selector, label) = inner.rsplit_once(", ").unwrap();
                let possible = check(&place, &promql::parse(selector), &known, &mut excused);
                assert!(possible.contains(label), "{place}: {label}");
            }
        }
    }
    assert_all_used(&exceptions().labels, &excused);
}

#[test]
fn every_family_is_shown() {
    let shown: BTreeSet<String> = dashboards()
        .iter()
        .flat_map(|dashboard| {
            dashboard
                .queries()
                .flat_map(|query| promql::parse(query.expression).selectors)
                .map(|selector| selector.name)
                .collect::<Vec<_>>()
        })
        .collect();
    let exceptions = exceptions().not_shown;
    let mut hidden = BTreeSet::new();
    for name in labels().into_keys() {
        if !shown.contains(&name) {
            assert!(exceptions.contains_key(&name), "{name} is shown nowhere");
            hidden.insert(name);
        }
    }
    assert_all_used(&exceptions, &hidden);
}

/// dashboard-linter: target-job, target-instance, target-counter-agg, target-rate-interval.
#[test]
fn selectors_choose_the_machine_and_counters_are_rates() {
    let exceptions = exceptions().ranges;
    let mut fixed = BTreeSet::new();
    for dashboard in dashboards() {
        for annotation in dashboard.json["annotations"]["list"].as_array().unwrap() {
            let Some(expression) = annotation["expr"].as_str() else { continue };
            for selector in promql::parse(expression).selectors {
                let chooses = |label: &&str| selector.is_chosen_by(label, label);
                let place = format!("{}, annotation {}", dashboard.name, annotation["name"]);
                assert!(TARGET.iter().all(chooses), "{place}: of all machines");
            }
        }
        for query in dashboard.queries() {
            let place = dashboard.place(query.panel);
            for selector in promql::parse(query.expression).selectors {
                for label in TARGET {
                    let name = &selector.name;
                    assert!(selector.is_chosen_by(label, label), "{place}: {name} of all {label}s");
                }
                let function = selector.function.as_deref();
                let is_rate = matches!(function, Some("rate" | "increase" | "irate"));
                assert_eq!(is_rate, selector.name.ends_with("_total"), "{place}: {selector:?}");
                if is_rate && selector.range != Some(RATE_INTERVAL) {
                    let excuse = format!("{} {}", dashboard.name, query.panel["id"]);
                    assert!(exceptions.contains_key(&excuse), "{place}: {:?}", selector.range);
                    fixed.insert(excuse);
                }
            }
        }
    }
    assert_all_used(&exceptions, &fixed);
}
