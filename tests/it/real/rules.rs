//! What promtool and amtool say of the rules and of Alertmanager's configuration.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::process::{output, said};

fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(super::repository().join(directory)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn the_rules_that_we_ship_are_valid() {
    let files = files("configs/prometheus/rules");
    let check =
        output(Command::new("promtool").args(["check", "rules", "--lint=all"]).args(&files));
    let said = said(&check);
    assert!(check.status.success(), "{said}");
    assert_eq!(said.matches("SUCCESS").count(), files.len(), "{said}");
}

#[test]
fn the_unit_tests_of_the_rules_hold() {
    let files = files("tests/fixtures/rules");
    let test = output(Command::new("promtool").args(["test", "rules"]).args(&files));
    let said = said(&test);
    assert!(test.status.success(), "{said}");
    assert_eq!(said.matches("SUCCESS").count(), files.len(), "{said}");
}

#[test]
fn the_configuration_of_alertmanager_that_we_ship_is_valid() {
    let path = super::repository().join("configs/alertmanager/alertmanager.yml");
    let check = output(Command::new("amtool").arg("check-config").arg(&path));
    assert!(check.status.success(), "{}", said(&check));
    assert!(said(&check).contains("SUCCESS"), "{}", said(&check));

    for (severity, receiver) in [("critical", "urgent"), ("warning", "notify"), ("info", "notify")]
    {
        let mut amtool = Command::new("amtool");
        amtool.args(["config", "routes", "test"]).arg(format!("--config.file={}", path.display()));
        let route = output(
            amtool
                .arg(format!("--verify.receivers={receiver}"))
                .args([format!("severity={severity}"), "alertname=HaloProchot".to_owned()]),
        );
        assert!(route.status.success(), "{severity}: {}", said(&route));
    }
}
