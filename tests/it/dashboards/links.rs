//! Links lead somewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Dashboard, dashboards};

/// Every link of a panel: of its header, of its fields, and of single columns.
fn links(panel: &Value) -> Vec<&str> {
    let mut found: Vec<&Value> = panel["links"].as_array().unwrap().iter().collect();
    let field = &panel["fieldConfig"];
    found.extend(field["defaults"]["links"].as_array().unwrap());
    for one in field["overrides"].as_array().unwrap() {
        for property in one["properties"].as_array().unwrap() {
            if property["id"] == "links" {
                found.extend(property["value"].as_array().unwrap());
            }
        }
    }
    found.iter().map(|link| link["url"].as_str().unwrap()).collect()
}

/// A dashboard of this name and a number of its panels, where the link names one.
fn target<'a>(all: &'a [Dashboard], url: &str) -> (&'a Dashboard, Option<u64>) {
    let (path, query) = url.split_once('?').unwrap_or_else(|| panic!("{url}: no variables"));
    let uid = path.strip_prefix("/d/").unwrap_or_else(|| panic!("{url}: another place"));
    let dashboard = all.iter().find(|one| one.text("uid") == uid);
    let dashboard = dashboard.unwrap_or_else(|| panic!("{url}: no dashboard {uid}"));
    let mut panel = None;
    for pair in query.split('&') {
        let named = pair.split_once('=');
        if let Some(("viewPanel", number)) = named {
            panel = Some(number.parse().unwrap());
        }
        let variable = named.map_or_else(
            || pair.strip_prefix("${")?.strip_suffix(":queryparam}"),
            |(key, _)| key.strip_prefix("var-"),
        );
        if let Some(variable) = variable {
            assert!(dashboard.variable(variable).is_some(), "{url}: {uid} has no {variable}");
        }
    }
    (dashboard, panel)
}

#[test]
fn links_lead_to_dashboards_and_panels_that_exist() {
    let all = dashboards();
    let mut reached = BTreeSet::new();
    for dashboard in &all {
        for panel in dashboard.panels() {
            for url in links(panel) {
                let (there, number) = target(&all, url);
                let place = dashboard.place(panel);
                if let Some(number) = number {
                    let is_there = there.panels().any(|one| one["id"] == number);
                    assert!(is_there, "{place}: {} has no panel {number}", there.name);
                    let is_itself = std::ptr::eq(there, dashboard) && panel["id"] == number;
                    assert!(!is_itself, "{place} links itself");
                }
                if there.name != dashboard.name {
                    reached.insert(there.name.clone());
                }
            }
        }
    }
    let names: BTreeSet<String> = all.iter().map(|one| one.name.clone()).collect();
    assert_eq!(reached, names, "each dashboard is reached from another");
}

/// The way from the archive to a comparison and back.
#[test]
fn runs_lead_to_their_comparison_and_back() {
    let all = dashboards();
    let links_of = |name: &str| -> Vec<String> {
        let dashboard = all.iter().find(|one| one.name == name).unwrap();
        dashboard.panels().flat_map(links).map(str::to_owned).collect()
    };
    let to_comparison = "/d/halo-run-comparison?";
    let with_run = links_of("runs").into_iter().filter(|url| {
        url.starts_with(to_comparison)
            && url.contains("var-run_a=${__data.fields.Run}")
            && url.contains("from=${__data.fields.Start.numeric}&to=${__data.fields.End.numeric}")
    });
    assert!(with_run.count() > 0);
    let back = links_of("run-comparison");
    assert!(back.iter().any(|url| url.starts_with("/d/halo-runs?")));
    assert!(back.iter().any(|url| url.starts_with("/d/halo-overview?") && url.contains("from=")));
}
