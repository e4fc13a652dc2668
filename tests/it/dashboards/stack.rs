//! compose.yaml, what it mounts, and how Grafana finds data source and dashboards.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::repository;

/// YAML as the value that JSON would be.
fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(repository().join(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap()).collect()
}

/// The files of a service that come from the repository: where they are, and where it sees them.
fn mounts(service: &Value) -> Vec<(&str, &str)> {
    let mounts = words(&service["volumes"]).into_iter().map(|mount| {
        let mut parts = mount.split(':');
        (parts.next().unwrap(), parts.next().unwrap(), parts.next())
    });
    let mounts = mounts.inspect(|(from, _, options)| {
        // What is the host's or the repository's is never written.
        let is_volume = !from.starts_with(['.', '/']);
        let is_read_only = options.is_some_and(|all| all.split(',').any(|one| one == "ro"));
        assert!(is_volume || is_read_only, "{from} is mounted to be written");
    });
    mounts.map(|(from, to, _)| (from, to)).collect()
}

/// Where a file that a service sees lies in the repository.
fn behind(service: &Value, seen: &str) -> Option<String> {
    mounts(service).into_iter().find_map(|(from, to)| {
        let rest = seen.strip_prefix(to)?;
        Some(format!("{}{rest}", from.strip_prefix("./")?))
    })
}

fn assert_exists(path: Option<String>, seen: &str) -> String {
    let path = path.unwrap_or_else(|| panic!("{seen} is mounted from nowhere"));
    assert!(repository().join(&path).exists(), "{seen}: no {path}");
    path
}

#[test]
fn services_are_pinned_checked_and_on_loopback() {
    let compose = yaml("compose.yaml");
    let services = compose["services"].as_object().unwrap();
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["prometheus", "alertmanager", "grafana", "exporter"]);
    let text = fs::read_to_string(repository().join("compose.yaml")).unwrap();
    assert!(!text.to_lowercase().contains("_password:"), "no password in the file");
    let mut volumes = BTreeSet::new();
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{name}: {image}"));
        let is_version = tag.trim_start_matches('v').split('.').all(|n| n.parse::<u32>().is_ok());
        assert!(is_version && tag.matches('.').count() == 2, "{name}: {image} is not pinned");
        assert_eq!(service["network_mode"], "host", "{name}");
        assert!(service.get("ports").is_none(), "{name}: ports beside the host's network");
        assert_eq!(words(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(words(&service["security_opt"]).contains(&"no-new-privileges:true"), "{name}");
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        // The exporter's own image has its check.
        assert_eq!(service.get("healthcheck").is_none(), name == "exporter", "{name}");
        for (from, _) in mounts(service) {
            match from.strip_prefix("./") {
                Some(path) => assert!(repository().join(path).exists(), "{name}: no {path}"),
                None if from.starts_with('/') => assert_eq!(name, "exporter"),
                None => assert!(volumes.insert(from.to_owned()), "{name}: {from} twice"),
            }
        }
        for flag in words(&service["command"]) {
            if let Some((flag, file)) = flag.split_once("config.file=") {
                assert_exists(behind(service, file), flag);
            }
            if let Some(address) = flag.strip_prefix("--web.listen-address=") {
                assert!(address.starts_with("127.0.0.1:"), "{name}: {address}");
            }
        }
    }
    let listening = text.matches("--web.listen-address=127.0.0.1:").count();
    assert_eq!(listening, 2);
    let declared: BTreeSet<String> =
        compose["volumes"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(volumes, declared, "named volumes");
    assert_eq!(services["exporter"]["profiles"], serde_json::json!(["exporter"]));
}

/// Nobody gets in with a password that everybody knows.
#[test]
fn grafana_has_no_user_to_begin_with_and_listens_on_loopback() {
    let compose = yaml("compose.yaml");
    let environment = &compose["services"]["grafana"]["environment"];
    assert_eq!(environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"], "true");
    assert_eq!(environment["GF_AUTH_ANONYMOUS_ORG_ROLE"], "Viewer");
    assert_eq!(environment["GF_SERVER_HTTP_ADDR"], "${HALO_GRAFANA_ADDRESS:-127.0.0.1}");
}

#[test]
fn grafana_finds_its_data_source_and_the_dashboards() {
    let compose = yaml("compose.yaml");
    let grafana = &compose["services"]["grafana"];
    let kinds = ["datasources", "dashboards"];
    let [sources, providers] = kinds.map(|kind| {
        let seen = format!("/etc/grafana/provisioning/{kind}/halo.yml");
        yaml(&assert_exists(behind(grafana, &seen), &seen))
    });
    assert_eq!(sources["apiVersion"], 1);
    let [source] = sources["datasources"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(source["type"], "prometheus");
    assert_eq!(source["isDefault"], true);
    let prometheus = words(&compose["services"]["prometheus"]["command"]);
    let address = prometheus.iter().find_map(|flag| flag.strip_prefix("--web.listen-address="));
    assert_eq!(source["url"], format!("http://{}", address.unwrap()));

    // $__rate_interval is made of the interval that the data source is told.
    let scraping = yaml("configs/prometheus/prometheus.yml");
    let interval = &scraping["scrape_configs"][0]["scrape_interval"];
    assert_eq!(&source["jsonData"]["timeInterval"], interval);

    assert_eq!(providers["apiVersion"], 1);
    let [provider] = providers["providers"].as_array().unwrap().as_slice() else { panic!() };
    let seen = provider["options"]["path"].as_str().unwrap();
    assert_eq!(assert_exists(behind(grafana, seen), seen), "dashboards");
    let home = &grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_exists(behind(grafana, home.as_str().unwrap()), "home");
}

/// Alertmanager is where Prometheus sends its alerts.
#[test]
fn prometheus_finds_alertmanager_and_its_rules() {
    let compose = yaml("compose.yaml");
    let scraping = yaml("configs/prometheus/prometheus.yml");
    let target = &scraping["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0];
    let flags = words(&compose["services"]["alertmanager"]["command"]);
    let listens = format!("--web.listen-address={}", target.as_str().unwrap());
    assert!(flags.contains(&listens.as_str()), "{listens}");
    for pattern in words(&scraping["rule_files"]) {
        let directory = pattern.strip_suffix("/*.yml").unwrap();
        let seen = format!("/etc/prometheus/{directory}");
        assert_exists(behind(&compose["services"]["prometheus"], &seen), &seen);
    }
}

/// The image: what it copies exists and is sent to the builder, and it runs as nobody.
#[test]
fn the_container_file_names_what_exists_and_gives_no_rights() {
    let compose = yaml("compose.yaml");
    let exporter = &compose["services"]["exporter"];
    let path = exporter["build"]["dockerfile"].as_str().unwrap();
    assert_eq!(exporter["build"]["context"], ".");
    let text = fs::read_to_string(repository().join(path)).unwrap();
    let ignored = fs::read_to_string(repository().join(".dockerignore")).unwrap();
    assert!(ignored.starts_with("*\n"), "all is left out that is not named");
    let mut copied = 0;
    for line in text.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for source in &words[1..words.len() - 1] {
            assert!(repository().join(source).exists(), "{line}: no {source}");
            assert!(ignored.lines().any(|one| one == format!("!{source}")), "{source} is not sent");
            copied += 1;
        }
    }
    assert!(copied > 3);
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let rust = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(text.contains(&format!("rust:{}.", rust.trim_matches('"'))), "the Rust of Cargo.toml");
    assert!(text.contains("\nUSER 65534:65534\n"));
    for (variable, mounted) in
        [("HALO_PATH_PROCFS", "/host/proc"), ("HALO_PATH_SYSFS", "/host/sys")]
    {
        assert!(text.contains(&format!("{variable}={mounted}")), "{variable}");
        let seen = mounts(exporter).into_iter().any(|(_, to)| to == mounted);
        assert!(seen, "{mounted} is not mounted");
    }
    assert_eq!(exporter["read_only"], true);
}
