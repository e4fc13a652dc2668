//! clpeak on several devices and through several backends.

use halo::tool::Parsed;
use serde_json::json;

use super::{Fixture, words};
use halo::tool::OutputFile;

fn of_text(text: &str) -> Parsed {
    let stdout = text.as_bytes().to_vec();
    Fixture { argv: words("clpeak"), stdout, stderr: Vec::new(), files: Vec::new() }
        .parse()
        .unwrap()
}

/// Entries of backend, device, test and value; a test without a value was skipped.
fn of_json(entries: &[(&str, &str, &str, Option<f64>)]) -> Parsed {
    let entry = |(backend, device, test, value): &(&str, &str, &str, Option<f64>)| {
        json!({
            "backend": backend, "device": device, "category": "bandwidth", "test": test,
            "metric": "float4", "unit": "gbps", "value": value, "status": "unsupported",
        })
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    let document = json!({"clpeak_version": "2.0.13", "entries": entries});
    let file = OutputFile {
        path: "raw/files/clpeak.json".to_owned(),
        bytes: document.to_string().into_bytes(),
    };
    Fixture {
        argv: words("clpeak --json-file clpeak.json"),
        stdout: Vec::new(),
        stderr: Vec::new(),
        files: vec![file],
    }
    .parse()
    .unwrap()
}

fn figures(parsed: &Parsed) -> Vec<(&str, f64, &str)> {
    parsed.rows.iter().map(|row| (row.case.as_str(), row.value, row.unit.as_str())).collect()
}

/// What clpeak 1.1 prints of a device.
fn device(platform: &str, name: &str, speed: f64) -> String {
    format!(
        "\nPlatform: {platform}\n  Device: {name}\n    Driver version  : 3625.0 (HSA1.1,LC) (Linux x64)\n    \
         Compute units   : 4\n    Clock frequency : 2799 MHz\n\n    Global memory bandwidth (GBPS)\n      \
         float   : {speed}\n\n    No double precision support! Skipped\n\n    \
         Kernel launch latency : 10.50 us\n"
    )
}

#[test]
fn what_is_said_of_a_device_is_no_figure_of_the_one_before() {
    let text = device("Clover", "RX 550 (radeonsi, polaris12)", 5.73)
        + &device("AMD APP", "gfx1103", 29.04);
    let parsed = of_text(&text);
    let expected = [
        ("Global memory bandwidth float, RX 550", 5.73, "GBPS"),
        ("Kernel launch latency, RX 550", 10.5, "us"),
        ("Global memory bandwidth float, gfx1103", 29.04, "GBPS"),
        ("Kernel launch latency, gfx1103", 10.5, "us"),
    ];
    assert_eq!(figures(&parsed), expected);
    assert_eq!(parsed.backend, None, "two of them");
    assert_eq!(parsed.cases[2].parameters["device"], "gfx1103");
    assert_eq!(parsed.cases[2].parameters["backend"], "AMD APP");

    let one = of_text(&device("AMD APP", "gfx1151", 200.5).replace('\n', "\r\n"));
    assert_eq!(figures(&one)[0], ("Global memory bandwidth float", 200.5, "GBPS"));
    assert_eq!(one.backend.as_deref(), Some("AMD APP"));
}

#[test]
fn devices_of_one_name_are_told_apart() {
    let cases = |text: &str| -> Vec<String> {
        let parsed = of_text(text);
        figures(&parsed)
            .iter()
            .map(|(case, ..)| (*case).to_owned())
            .filter(|case| case.starts_with("Global"))
            .collect()
    };
    let bandwidth = "Global memory bandwidth float";
    let same = device("AMD APP", "gfx1100", 1.0) + &device("AMD APP", "gfx1100", 2.0);
    assert_eq!(
        cases(&same),
        [format!("{bandwidth}, AMD APP gfx1100"), format!("{bandwidth}, AMD APP gfx1100 #2")]
    );
    let platforms = device("rusticl", "gfx1151", 1.0) + &device("AMD APP", "gfx1151", 2.0);
    assert_eq!(
        cases(&platforms),
        [format!("{bandwidth}, rusticl gfx1151"), format!("{bandwidth}, AMD APP gfx1151")]
    );
    let nan = device("AMD APP", "gfx1100", f64::NAN) + &device("AMD APP", "gfx1151", f64::INFINITY);
    assert_eq!(cases(&nan), [""; 0]);
}

#[test]
fn a_device_through_two_backends_has_cases_of_both() {
    let parsed = of_json(&[
        ("OpenCL", "gfx1151", "global", Some(417.8)),
        ("CPU", "AMD RYZEN", "global", Some(90.0)),
        ("OpenCL", "gfx1151", "local", None),
        ("Vulkan", "gfx1151", "global", Some(200.0)),
    ]);
    let expected = [
        ("bandwidth global, OpenCL gfx1151", 417.8, "gbps"),
        ("bandwidth global, CPU AMD RYZEN", 90.0, "gbps"),
        ("bandwidth global, Vulkan gfx1151", 200.0, "gbps"),
    ];
    assert_eq!(figures(&parsed), expected);
    assert_eq!((parsed.backend, parsed.version.as_deref()), (None, Some("2.0.13")));
    assert_eq!(parsed.problems, ["clpeak: OpenCL gfx1151: local: unsupported"]);

    let other = of_json(&[
        ("Vulkan", "gfx1151", "global", Some(1.0)),
        ("Vulkan", "gfx1100", "global", Some(2.0)),
    ]);
    let expected =
        [("bandwidth global, gfx1151", 1.0, "gbps"), ("bandwidth global, gfx1100", 2.0, "gbps")];
    assert_eq!(figures(&other), expected);
    assert_eq!(other.backend.as_deref(), Some("Vulkan"));
}

#[test]
fn two_equal_cards_are_two_devices() {
    let parsed = of_json(&[
        ("Vulkan", "gfx1100", "global", Some(1.0)),
        ("Vulkan", "gfx1100", "local", Some(2.0)),
        ("Vulkan", "gfx1100", "global", Some(3.0)),
        ("Vulkan", "gfx1100", "local", Some(4.0)),
    ]);
    let expected = [
        ("bandwidth global, Vulkan gfx1100", 1.0, "gbps"),
        ("bandwidth local, Vulkan gfx1100", 2.0, "gbps"),
        ("bandwidth global, Vulkan gfx1100 #2", 3.0, "gbps"),
        ("bandwidth local, Vulkan gfx1100 #2", 4.0, "gbps"),
    ];
    assert_eq!(figures(&parsed), expected);
}
