//! What stands beside the runs of an archive.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use super::files::fifo;
use super::{Case, Place, run};

/// A campaign whose file says that it is called so.
fn campaign(place: &Place, name: &str) {
    let campaigns = place.path("archive/campaigns");
    fs::create_dir(&campaigns).unwrap();
    let text = format!(
        r#"{{"schema_version":1,"name":"{name}","started":"2026-11-24T05:00:51Z","cells":[]}}"#
    );
    fs::write(campaigns.join("x.json"), text).unwrap();
    place.manifest(|manifest| manifest["campaign"] = "x".into());
}

#[rustfmt::skip]
pub(super) fn cases() -> Vec<Case> {
    vec![
        run("a link for the campaigns", |place| {
            symlink(place.path("outside"), place.path("archive/campaigns")).unwrap();
            place.manifest(|manifest| manifest["campaign"] = "secret".into());
        }),
        run("a FIFO for the campaigns", |place| fifo(&place.path("archive/campaigns"))),
        run("a FIFO for a campaign", |place| {
            campaign(place, "x");
            fs::remove_file(place.path("archive/campaigns/x.json")).unwrap();
            fifo(&place.path("archive/campaigns/x.json"));
        }),
        run("a campaign of another name", |place| campaign(place, "../../outside/secret")),
        run("a campaign of a TiB", |place| {
            campaign(place, "x");
            File::create(place.path("archive/campaigns/x.json")).unwrap().set_len(1 << 40).unwrap();
        }),
        run("a link for the log", |place| {
            symlink(place.path("outside/secret.txt"), place.path("archive/log.jsonl")).unwrap();
        }),
        run("a link to a new file for the log", |place| {
            symlink(place.path("outside/new"), place.path("archive/log.jsonl")).unwrap();
        }),
        run("a FIFO for the log", |place| fifo(&place.path("archive/log.jsonl"))),
        run("a log of changes of a TiB", |place| {
            File::create(place.path("archive/log.jsonl")).unwrap().set_len(1 << 40).unwrap();
        }),
        run("a log of changes of lists", |place| {
            fs::write(place.path("archive/log.jsonl"), "[0],".repeat(1 << 20)).unwrap();
        }),
        run("what others left of a removal", |place| {
            let hidden = format!("archive/.removed-{}", super::RUN);
            symlink(place.path("outside"), place.path(&hidden)).unwrap();
        }),
        run("a thousand runs of garbage", |place| {
            for number in 0..1000 {
                let run = place.path(&format!("archive/20261124T07{:02}{:02}.000Z-x", number / 60, number % 60));
                fs::create_dir(&run).unwrap();
                fs::write(run.join("manifest.json"), "{").unwrap();
            }
        }),
    ]
}
