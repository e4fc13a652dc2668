//! The report in a real Chromium: no complaint, no request, and a picture in light and in dark.

use std::path::Path;
use std::process::Command;

use super::process::{output, said};
use crate::report::{two_runs, written};

/// Takes a picture of a page, and gives what the browser said.
fn picture(page: &Path, to: &Path, width: u32, is_dark: bool) -> (String, serde_json::Value) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("net.json");
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    chromium.args(["--enable-logging=stderr", "--disable-background-networking"]);
    chromium.args(["--disable-component-update", "--no-first-run", "--disable-sync"]);
    chromium.arg(format!("--user-data-dir={}", directory.path().join("user").display()));
    chromium.arg(format!("--log-net-log={}", log.display()));
    // 0 is dark, 1 is light (blink::mojom::PreferredColorScheme).
    chromium.arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!is_dark)));
    chromium.arg(format!("--window-size={width},2400"));
    chromium.arg(format!("--screenshot={}", to.display()));
    let done = output(chromium.arg(format!("file://{}", page.display())));
    assert!(done.status.success(), "{}", said(&done));
    let events = std::fs::read(&log).unwrap();
    (said(&done), serde_json::from_slice(&events).unwrap())
}

/// The addresses that a browser asked for.
fn requested(log: &serde_json::Value) -> Vec<String> {
    let events = log["events"].as_array().unwrap().iter();
    let addresses = events.filter_map(|event| event["params"]["url"].as_str());
    addresses.map(str::to_owned).collect()
}

#[test]
fn chromium_shows_the_report_without_complaint_and_asks_nobody() {
    let user = two_runs();
    for (runs, name) in [(&["before"][..], "one.html"), (&["before", "after"], "two.html")] {
        let page = written(&user, runs, name);
        let mut pictures = Vec::new();
        for (width, is_dark) in [(1600, false), (1600, true), (500, false)] {
            let to = user.home.path().join("picture.png");
            let (log, net) = picture(&page, &to, width, is_dark);
            assert!(!log.contains("CONSOLE"), "{log}");
            let own = page.file_name().unwrap().to_str().unwrap();
            // The browser itself looks for its updates and experiments; the page asks for nothing.
            let theirs = ["google", "gstatic", "chrome"];
            let asked: Vec<String> = requested(&net)
                .into_iter()
                .filter(|url| !url.ends_with(own) && !theirs.iter().any(|part| url.contains(part)))
                .collect();
            assert!(asked.is_empty(), "{asked:?}");
            pictures.push(std::fs::read(&to).unwrap());
        }
        assert!(
            pictures
                .iter()
                .all(|picture| picture.starts_with(b"\x89PNG") && picture.len() > 20_000)
        );
        assert_ne!(pictures[0], pictures[1], "dark is not light");
    }
}

#[test]
fn a_page_that_complains_and_asks_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("bad.html");
    let address = super::free_address();
    let text = format!("<img src=\"http://{address}/x.png\"><script>console.error('no')</script>");
    std::fs::write(&page, text).unwrap();
    let (log, net) = picture(&page, &directory.path().join("picture.png"), 500, false);
    assert!(log.contains("CONSOLE"), "{log}");
    assert!(requested(&net).iter().any(|url| url.ends_with("/x.png")), "{:?}", requested(&net));
}
