//! Manifests that lie.

use std::fs;

use serde_json::{Value, json};

use super::{Case, GOOD, Place, run};

/// Puts files into the list of a manifest, one for each path.
fn listing(place: &Place, paths: &[String]) {
    place.manifest(|manifest| {
        let entry = |path: &String| json!({"path": path, "bytes": 28, "sha256": "0".repeat(64)});
        manifest["files"] = paths.iter().map(entry).collect();
    });
}

fn field(place: &Place, name: &str, value: impl Into<Value>) {
    place.manifest(|manifest| manifest[name] = value.into());
}

fn padded(place: &Place, text: &str) {
    let manifest = fs::read_to_string(place.run("manifest.json")).unwrap();
    place.put("manifest.json", manifest.replacen('{', &format!("{{\"unknown\": {text},"), 1));
}

#[rustfmt::skip]
pub(super) fn cases() -> Vec<Case> {
    vec![
        run("a path that climbs", |place| listing(place, &["raw/../../../outside/secret.txt".into()])),
        run("a path that climbs at once", |place| listing(place, &["../../outside/secret.txt".into()])),
        run("an absolute path", |place| {
            listing(place, &[place.path("outside/secret.txt").display().to_string()]);
        }),
        run("raw before an absolute path", |place| {
            listing(place, &[format!("raw/{}", place.path("outside/secret.txt").display())]);
        }),
        run("a path to itself", |place| listing(place, &["raw/./stdout".into(), ".".into(), "raw".into()])),
        run("an empty path", |place| listing(place, &[String::new(), "raw/".into(), "raw//stdout".into()])),
        run("a path with NUL", |place| listing(place, &["raw/std\0out".into()])),
        run("a path of 5000 bytes", |place| listing(place, &[format!("raw/{}", "x".repeat(5000))])),
        run("a name of 300 bytes", |place| listing(place, &[format!("raw/{}", "x".repeat(300))])),
        run("a path of 500 parts", |place| listing(place, &[format!("raw/{}", vec!["x"; 500].join("/"))])),
        run("a file that stands there ten thousand times", |place| {
            listing(place, &vec!["raw/stdout".into(); 10_000]);
        }),
        run("a size of 2^64-1", |place| {
            place.manifest(|manifest| manifest["files"][0]["bytes"] = u64::MAX.into());
        }),
        run("a size below 0", |place| place.manifest(|manifest| manifest["files"][0]["bytes"] = (-1).into())),
        run("no manifest text", |place| place.put("manifest.json", "")),
        run("garbage for a manifest", |place| place.put("manifest.json", [0xff; 4096])),
        run("a manifest that was cut", |place| {
            let bytes = fs::read(place.run("manifest.json")).unwrap();
            place.put("manifest.json", &bytes[..bytes.len() / 2]);
        }),
        run("lists without end", |place| place.put("manifest.json", "[".repeat(1 << 20))),
        run("an unknown key of a thousand lists", |place| {
            padded(place, &format!("{}{}", "[".repeat(1000), "]".repeat(1000)));
        }),
        run("an unknown key of millions of lists", |place| {
            padded(place, &format!("[{}0]", "[0],".repeat(900_000)));
        }),
        run("metadata of millions of lists", |place| {
            place.manifest(|manifest| manifest["models"] = json!([{"name": "x", "metadata": {"x": 7}}]));
            let text = fs::read_to_string(place.run("manifest.json")).unwrap();
            place.put("manifest.json", text.replace("\"x\":7", &format!("\"x\":[{}0]", "[0],".repeat(900_000))));
        }),
        run("a manifest of 64 MiB", |place| padded(place, &format!("\"{}\"", "x".repeat(64 << 20)))),
        run("a manifest of a TiB", |place| place.sparse("manifest.json", 1 << 40)),
        run("other types", |place| field(place, "started", 7)),
        run("a command that is none", |place| field(place, "command", json!([]))),
        run("a version of the future", |place| field(place, "schema_version", 99)),
        run("a version below 0", |place| field(place, "schema_version", -1)),
        run("means beyond all bounds", |place| place.manifest(|manifest| {
            for summary in manifest["summary"].as_array_mut().unwrap() {
                summary["mean"] = 1e308.into();
                summary["standard_deviation"] = 1e308.into();
            }
        })),
        run("means that are no numbers", |place| place.manifest(|manifest| {
            manifest["summary"][0]["mean"] = "NaN".into();
        })),
        run("speeds below 0", |place| place.manifest(|manifest| {
            manifest["summary"][0]["mean"] = (-1e308).into();
        })),
        run("a run of ten thousand years", |place| place.manifest(|manifest| {
            manifest["started"] = "-009999-01-02T00:00:00Z".into();
            manifest["ended"] = "9999-12-30T00:00:00Z".into();
        })),
        run("a run that ended before it began", |place| field(place, "ended", "1970-01-01T00:00:00Z")),
        run("the identifier of another run", |place| {
            let other = fs::read(place.path("archive").join(GOOD).join("manifest.json")).unwrap();
            let other: Value = serde_json::from_slice(&other).unwrap();
            field(place, "id", other["id"].clone());
        }),
        run("a name that climbs", |place| field(place, "name", "../../outside/secret.txt")),
        run("a campaign that climbs", |place| place.manifest(|manifest| {
            manifest["campaign"] = "../../outside/secret".into();
        })),
        run("a command line of megabytes", |place| place.manifest(|manifest| {
            manifest["command"]["executed"] = vec!["x"; 500_000].into();
        })),
    ]
}
