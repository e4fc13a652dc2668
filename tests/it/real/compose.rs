//! What a Compose tool says of compose.yaml.

use std::process::Command;

use super::process::{output, said};

#[test]
fn compose_takes_the_file_with_and_without_the_exporter() {
    for profile in [&[][..], &["--profile", "exporter"]] {
        let mut compose = Command::new("docker-compose");
        compose.current_dir(super::repository()).args(profile).arg("config");
        let done = output(&mut compose);
        assert!(done.status.success(), "{}", said(&done));
        // It writes the file as it understood it: paths are whole, variables have their defaults.
        let text = String::from_utf8(done.stdout).unwrap();
        let dashboards = super::repository().join("dashboards");
        let mount = format!("{}:/etc/halo/dashboards:ro,z", dashboards.display());
        assert!(text.contains(&mount), "{text}");
        assert!(text.contains("GF_SERVER_HTTP_ADDR: 127.0.0.1"), "{text}");
    }
}
