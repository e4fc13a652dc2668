//! The form of dashboards: the rules of dashboard-linter, and halo's own.

use std::collections::{BTreeMap, BTreeSet};

use halo::source::tuning::checks::CHECKS;
use serde_json::{Value, json};

use super::{Dashboard, dashboards, promql};

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

#[test]
fn dashboards_are_of_the_kind_that_every_grafana_since_11_takes() {
    let [mut uids, mut titles] = [(); 2].map(|()| BTreeSet::new());
    for dashboard in dashboards() {
        let (name, json) = (&dashboard.name, &dashboard.json);
        assert_eq!(dashboard.text("uid"), format!("halo-{name}"));
        assert!(uids.insert(dashboard.text("uid").to_owned()), "{name}: uid twice");
        assert!(titles.insert(dashboard.text("title").to_owned()), "{name}: title twice");
        assert_eq!(json["schemaVersion"], 39, "{name}");
        assert_eq!(json["id"], Value::Null, "{name}: an id belongs to one database");
        for key in ["__inputs", "__elements", "iteration", "gnetId"] {
            assert!(json.get(key).is_none(), "{name}: {key}");
        }
        assert!(json["refresh"].is_string() && json["editable"] == true, "{name}");
        assert_eq!(json["graphTooltip"], 1, "{name}: one crosshair");
        assert!(dashboard.text("description").ends_with('.'), "{name}: description");
        assert_eq!(json["tags"][0], "halo", "{name}: the menu finds dashboards by this tag");
        assert_eq!(json["links"][0]["tags"], json!(["halo"]), "{name}: menu");
    }
}

/// dashboard-linter: template-datasource, template-job, template-instance,
/// template-on-time-change-reload.
#[test]
fn variables_choose_the_data_source_and_the_machine() {
    for dashboard in dashboards() {
        let name = &dashboard.name;
        let sources = dashboard.variables().iter().filter(|one| one["type"] == "datasource");
        let sources: Vec<&Value> = sources.collect();
        let [source] = sources[..] else { panic!("{name}: {} data sources", sources.len()) };
        assert_eq!(source["name"], "datasource", "{name}");
        assert_eq!(source["label"], "Data Source", "{name}");
        assert_eq!(source["query"], "prometheus", "{name}");
        for label in ["job", "instance", "gpu"] {
            // The archive is of machines and says nothing of their processors.
            if label == "gpu" && name == "runs" {
                continue;
            }
            let variable = dashboard.variable(label);
            let variable = variable.unwrap_or_else(|| panic!("{name}: no variable {label}"));
            assert_eq!(variable["label"], label, "{name}");
            assert_eq!(variable["multi"], true, "{name} {label}");
            assert_eq!(variable["includeAll"], true, "{name} {label}");
            assert_eq!(variable["allValue"], ".+", "{name} {label}");
        }
        for variable in dashboard.variables() {
            let which = &variable["name"];
            assert!(variable["description"].as_str().unwrap().ends_with('.'), "{name} {which}");
            if variable["type"] == "query" {
                assert_eq!(variable["datasource"], datasource(), "{name} {which}");
                assert_eq!(variable["refresh"], 2, "{name} {which}: on a change of time");
                assert_eq!(variable["query"]["query"], variable["definition"], "{name} {which}");
            }
        }
    }
}

#[test]
fn every_variable_that_is_used_is_defined_and_the_other_way_round() {
    for dashboard in dashboards() {
        let name = &dashboard.name;
        let defined: BTreeSet<String> = dashboard
            .variables()
            .iter()
            .map(|variable| variable["name"].as_str().unwrap().to_owned())
            .collect();
        let used = promql::variables(&dashboard.json.to_string());
        assert_eq!(used, defined, "{name}");
    }
}

#[test]
fn runs_and_alerts_stand_over_every_dashboard() {
    for dashboard in dashboards() {
        let annotations = dashboard.json["annotations"]["list"].as_array().unwrap();
        let names: Vec<&str> =
            annotations.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Annotations & Alerts", "Runs", "Alerts"], "{}", dashboard.name);
        for annotation in &annotations[1..] {
            assert_eq!(annotation["datasource"], datasource(), "{}", dashboard.name);
            assert_eq!(annotation["enable"], true, "{}", dashboard.name);
        }
    }
}

/// Panels that Grafana brings along since 11, with options that it would write.
const KINDS: [(&str, &[&str]); 5] = [
    ("stat", &["colorMode", "graphMode", "orientation", "reduceOptions", "textMode"]),
    ("bargauge", &["displayMode", "orientation", "reduceOptions", "showUnfilled", "valueMode"]),
    ("timeseries", &["legend", "tooltip"]),
    (
        "state-timeline",
        &["alignValue", "legend", "mergeValues", "rowHeight", "showValue", "tooltip"],
    ),
    ("table", &["cellHeight", "footer", "showHeader", "sortBy"]),
];

/// dashboard-linter: panel-datasource, panel-title-description, panel-units, panel-no-targets.
#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_where_the_cause_is() {
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let place = dashboard.place(panel);
            let kind = KINDS.iter().find(|(kind, _)| panel["type"] == *kind);
            for option in kind.unwrap_or_else(|| panic!("{place}: kind")).1 {
                assert!(!panel["options"][option].is_null(), "{place}: no option {option}");
            }
            assert_eq!(panel["datasource"], datasource(), "{place}");
            assert!(!panel["title"].as_str().unwrap().is_empty(), "{place}: title");
            let description = panel["description"].as_str().unwrap();
            assert!(description.ends_with('.') && description.len() > 15, "{place}: description");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!defaults["unit"].as_str().unwrap().is_empty(), "{place}: unit");
            assert!(defaults["thresholds"]["steps"][0]["value"].is_null(), "{place}: thresholds");
            let no_value = defaults["noValue"].as_str().unwrap();
            assert!(!no_value.is_empty() && no_value != "No data", "{place}: why it is empty");
            assert!(!panel["links"].as_array().unwrap().is_empty(), "{place}: links");
            let letters = letters(panel);
            let distinct: BTreeSet<&str> = letters.iter().copied().collect();
            assert!(!letters.is_empty() && distinct.len() == letters.len(), "{place}: {letters:?}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"], datasource(), "{place}");
                assert_ne!(target["instant"], target["range"], "{place}: one of both");
                let is_now = matches!(panel["type"].as_str(), Some("stat" | "bargauge" | "table"));
                assert_eq!(target["instant"] == true, is_now || is_table(target), "{place}");
                assert_eq!(is_table(target), target["format"] == "table", "{place}");
            }
        }
    }
}

fn is_table(target: &Value) -> bool {
    target["format"] == "table"
}

fn letters(panel: &Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().unwrap().iter();
    targets.map(|target| target["refId"].as_str().unwrap()).collect()
}

/// Grafana gives a figure that is not known the colour of the lowest threshold, which says that all
/// is well.
#[test]
fn figures_that_are_not_known_do_not_look_healthy() {
    let mut figures = 0;
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            if panel["type"] != "stat" && panel["type"] != "bargauge" {
                continue;
            }
            let place = dashboard.place(panel);
            let defaults = &panel["fieldConfig"]["defaults"];
            let unknown = &defaults["mappings"][0];
            assert_eq!(unknown["type"], "special", "{place}");
            assert_eq!(unknown["options"]["match"], "null+nan", "{place}");
            let result = &unknown["options"]["result"];
            assert_eq!(result["text"], defaults["noValue"], "{place}");
            assert_eq!(result["color"], "#808080", "{place}: grey");
            figures += 1;
        }
    }
    assert!(figures > 8, "{figures} panels");
}

/// An override for a query or a column that is not there is a mistake that nobody sees.
#[test]
fn overrides_are_about_something() {
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let place = dashboard.place(panel);
            let letters = letters(panel);
            let columns: BTreeSet<&str> = panel["transformations"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|one| one["options"]["indexByName"].as_object().map(|all| (one, all)))
                .flat_map(|(one, all)| {
                    let renamed = &one["options"]["renameByName"];
                    all.keys().map(|key| renamed[key].as_str().unwrap_or(key))
                })
                .collect();
            for one in panel["fieldConfig"]["overrides"].as_array().unwrap() {
                let about = one["matcher"]["options"].as_str().unwrap();
                match one["matcher"]["id"].as_str().unwrap() {
                    "byFrameRefID" => assert!(letters.contains(&about), "{place}: {about}"),
                    "byName" => assert!(columns.contains(about), "{place}: {about}"),
                    "byRegexp" => assert_eq!(about, "/.*/", "{place}"),
                    other => panic!("{place}: {other}"),
                }
            }
        }
    }
}

const COLUMNS: u64 = 24;

#[test]
fn the_grid_has_no_overlap_and_no_hole() {
    for dashboard in dashboards() {
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for panel in dashboard.entries() {
            let place = dashboard.place(panel);
            assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{place}: id twice");
            let [x, y, width, height] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(width > 0 && height > 0 && x + width <= COLUMNS, "{place}: {x} + {width}");
            for cell in (y..y + height).flat_map(|y| (x..x + width).map(move |x| (x, y))) {
                let other = taken.insert(cell, place.clone());
                assert!(other.is_none(), "{place} lies on {}", other.unwrap_or_default());
            }
        }
        let height = taken.keys().map(|&(_, y)| y + 1).max().unwrap();
        let area = u64::try_from(taken.len()).unwrap();
        assert_eq!(area, height * COLUMNS, "{}: a hole", dashboard.name);
    }
}

/// A panel that stands on several dashboards is the same panel.
#[test]
fn panels_of_the_same_name_do_not_drift() {
    let mut known: BTreeMap<String, (String, Value)> = BTreeMap::new();
    let mut shared = 0;
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let place = dashboard.place(panel);
            // Two that are called alike and show something else.
            let kind = format!("{} {}", panel["type"], panel["title"]);
            let same = json!([
                panel["fieldConfig"],
                panel["options"],
                panel["targets"],
                panel["description"],
                panel["transformations"]
            ]);
            if panel["type"] != "timeseries" || dashboard.name.starts_with("run") {
                continue;
            }
            if let Some((other, first)) = known.get(&kind) {
                assert_eq!(&same, first, "{place} and {other}");
                shared += 1;
            } else {
                known.insert(kind, (place, same));
            }
        }
    }
    assert!(shared >= 5, "{shared} shared panels");
}

/// The texts of the checks are those that the exporter's own documents have.
#[test]
fn the_tuning_dashboard_tells_of_every_check_what_it_should_be_and_how() {
    let all = dashboards();
    let tuning: &Dashboard = all.iter().find(|one| one.name == "tuning").unwrap();
    let panel = tuning.panels().find(|panel| panel["title"] == "Checks").unwrap();
    let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
    let texts = |column: &str| {
        let one = overrides.iter().find(|one| one["matcher"]["options"] == column).unwrap();
        let properties = one["properties"].as_array().unwrap();
        properties.iter().find(|one| one["id"] == "mappings").unwrap()["value"][0]["options"]
            .clone()
    };
    let (should_be, set_with) = (texts("Should be"), texts("Set with"));
    assert_eq!(should_be.as_object().unwrap().len(), CHECKS.len());
    let query = panel["targets"][0]["expr"].as_str().unwrap();
    for check in CHECKS {
        let plain = |text: &str| text.replace('`', "");
        assert_eq!(should_be[check.name]["text"], plain(check.should_be), "{}", check.name);
        assert_eq!(set_with[check.name]["text"], plain(check.set_with), "{}", check.name);
    }
    // What a setting is comes from its name, which these patterns turn into the check's.
    assert!(query.contains(r#""thp_$1""#) && query.contains("kernel_version"));
}
