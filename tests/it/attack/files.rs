//! What stands in the place of a run's files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Case, Place, RUN, run};

pub(super) fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

fn socket(place: &Place, path: &str) {
    let path = place.clear(path);
    // A socket's whole path has a hundred bytes.
    let short = place.path("s");
    drop(UnixListener::bind(&short).unwrap());
    fs::rename(short, path).unwrap();
}

/// Where only an administrator can make one, a link to one has to do.
fn device(place: &Place, path: &str) {
    let path = place.clear(path);
    let zero = rustix::fs::makedev(1, 5);
    if mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o600), zero).is_err() {
        symlink("/dev/zero", path).unwrap();
    }
}

fn linked(place: &Place, path: &str) {
    place.link(path, place.path("outside/secret.txt"));
}

/// A journal whose header is right.
fn journal(place: &Place, lines: &str) {
    let header = r#"{"header":{"version":1,"run":"x","interval":50000000,"sources":[],"at":{"monotonic":0,"unix":1764000000000000000}}}"#;
    place.journal(format!("{header}\n{lines}"));
}

const INSPECT: &[&str] = &["inspect", "eval", "x"];
const LM_EVAL: &[&str] = &["lm_eval", "--tasks", "x", "--output_path", "x"];

fn zipped(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Zstd);
    for (name, bytes) in members {
        zip.start_file(name.as_str(), options).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) fn cases() -> Vec<Case> {
    [instead(), beside(), output(), journals()].into_iter().flatten().collect()
}

/// Something else in the place of a file.
#[rustfmt::skip]
fn instead() -> Vec<Case> {
    vec![
        run("a FIFO for a manifest", |place| fifo(&place.clear("manifest.json"))),
        run("a socket for a manifest", |place| socket(place, "manifest.json")),
        run("a device for a manifest", |place| device(place, "manifest.json")),
        run("a directory for a manifest", |place| fs::create_dir(place.clear("manifest.json")).unwrap()),
        run("a link for a manifest", |place| place.link("manifest.json", place.path("outside/secret.json"))),
        run("a link that leads nowhere for a manifest", |place| place.link("manifest.json", place.path("outside/new"))),
        run("a link to itself for a manifest", |place| place.link("manifest.json", "manifest.json")),
        run("a link to zeros for a manifest", |place| place.link("manifest.json", "/dev/zero")),
        run("a FIFO for output", |place| fifo(&place.clear("raw/stdout"))),
        run("a socket for output", |place| socket(place, "raw/stdout")),
        run("a device for output", |place| device(place, "raw/stdout")),
        run("a directory for output", |place| fs::create_dir(place.clear("raw/stdout")).unwrap()),
        run("a link for output", |place| linked(place, "raw/stdout")),
        run("a link to zeros for output", |place| place.link("raw/stderr", "/dev/zero")),
        run("a link for all output", |place| {
            fs::write(place.path("outside/stdout"), super::SECRET).unwrap();
            place.link("raw", place.path("outside"));
        }),
        run("a file for all output", |place| fs::write(place.clear("raw"), "x").unwrap()),
        run("a link for the files of the tool", |place| {
            place.of_tool(INSPECT, "x", "");
            place.link("raw/files", place.path("outside"));
        }),
        run("links in a ring", |place| {
            place.of_tool(LM_EVAL, "results_x.json", "{}");
            place.link("raw/files/a", "b");
            place.link("raw/files/b", "a");
            place.link("raw/files/results_1.json", place.path("outside/secret.json"));
        }),
        run("a directory that holds itself", |place| place.link("raw/files", ".")),
        run("a link for the run", |place| {
            fs::rename(place.run(""), place.path("outside/run")).unwrap();
            symlink(place.path("outside/run"), place.path("archive").join(RUN)).unwrap();
        }),
        run("a file for the run", |place| {
            fs::remove_dir_all(place.run("")).unwrap();
            fs::write(place.path("archive").join(RUN), "x").unwrap();
        }),
    ]
}

/// More files than there should be.
#[rustfmt::skip]
fn beside() -> Vec<Case> {
    vec![
        run("links for files that are being written", |place| {
            for name in ["manifest.json", "results.parquet", "marks.parquet", "eval_samples.parquet", "reserve"] {
                place.link(&format!("{name}.unfinished"), place.path("outside/secret.txt"));
            }
        }),
        run("links for new files that are being written", |place| {
            for name in ["manifest.json", "results.parquet", "marks.parquet"] {
                place.link(&format!("{name}.unfinished"), place.path("outside/new"));
            }
        }),
        run("what others left beside a bundle", |place| {
            fs::create_dir(place.path("work/bundle.tar.zst.staging")).unwrap();
            symlink(place.path("outside/new"), place.path("work/bundle.tar.zst.unfinished")).unwrap();
            symlink(place.path("outside/new"), place.path("work/report.html.unfinished")).unwrap();
        }),
        run("names that are no text", |place| {
            fs::write(place.run("raw").join(OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
        }),
        run("directories in directories", |place| {
            fs::create_dir_all(place.run(&format!("raw/files/{}", vec!["x"; 300].join("/")))).unwrap();
        }),
        run("ten thousand files", |place| {
            fs::create_dir(place.run("raw/files")).unwrap();
            for number in 0..10_000 {
                fs::write(place.run(&format!("raw/files/{number}")), "").unwrap();
            }
        }),
    ]
}

/// What the tool printed and wrote.
#[rustfmt::skip]
fn output() -> Vec<Case> {
    vec![
        run("output of a TiB", |place| {
            place.sparse("raw/stdout", 1 << 40);
            place.manifest(|manifest| {
                for file in manifest["files"].as_array_mut().unwrap() {
                    if file["path"] == "raw/stdout" {
                        file["bytes"] = (1_u64 << 40).into();
                    }
                }
            });
        }),
        run("output of line ends", |place| place.put("raw/stdout", vec![b'\n'; 16 << 20])),
        run("messages of line ends", |place| place.put("raw/stderr", vec![b'\n'; 16 << 20])),
        run("output of one line", |place| place.put("raw/stdout", vec![b'{'; 16 << 20])),
        run("output of lists", |place| place.put("raw/stdout", "[0],".repeat(4 << 20))),
        run("output that is no text", |place| place.put("raw/stdout", vec![0xff; 16 << 20])),
        run("output of tables", |place| place.put("raw/stdout", "| a | b |\n".repeat(1 << 20))),
        run("results of lists", |place| place.of_tool(LM_EVAL, "results_1.json", format!("[{}0]", "[0],".repeat(8 << 20)))),
        run("results of lists in lists", |place| place.of_tool(LM_EVAL, "results_1.json", "[".repeat(8 << 20))),
        run("results of a TiB", |place| {
            place.of_tool(LM_EVAL, "results_1.json", "");
            place.sparse("raw/files/results_1.json", 1 << 40);
        }),
        run("a log that unpacks to gigabytes", |place| {
            let zeros = (0..4).map(|number| (format!("_journal/summaries/{number}.json"), vec![b' '; 60 << 20]));
            let members: Vec<_> = [("header.json".to_owned(), vec![b' '; 60 << 20])].into_iter().chain(zeros).collect();
            place.of_tool(INSPECT, "x.eval", zipped(&members));
        }),
        run("a log of many members", |place| {
            let members: Vec<_> = (0..30_000).map(|number| (number.to_string(), Vec::new())).collect();
            place.of_tool(INSPECT, "x.eval", zipped(&members));
        }),
        run("a log of entries alone", |place| place.of_tool(INSPECT, "x.eval", b"PK\x01\x02".repeat(8 << 20))),
        run("a log of garbage", |place| place.of_tool(INSPECT, "x.eval", [0xaa; 4096])),
        run("a log of lists", |place| {
            place.of_tool(INSPECT, "x.eval", zipped(&[("header.json".into(), format!("[{}0]", "[0],".repeat(8 << 20)).into())]));
        }),
    ]
}

/// Journals of runs that were left unfinished.
#[rustfmt::skip]
fn journals() -> Vec<Case> {
    vec![
        run("a journal of one line", |place| {
            place.journal("");
            place.sparse("journal.jsonl", 1 << 32);
        }),
        run("a journal of garbage", |place| place.journal(vec![0xaa; 1 << 20])),
        run("a journal of another version", |place| {
            place.journal(r#"{"header":{"version":99,"run":"x","interval":1,"sources":[],"at":{"monotonic":0,"unix":0}}}"#);
        }),
        run("a journal of four thousand million series", |place| {
            journal(place, "{\"series\":{\"first\":4294967295,\"series\":[[\"x\",[]]]}}\n");
        }),
        run("a journal of unknown series", |place| {
            let line = format!("{{\"series\":{{\"first\":0,\"series\":[{}[\"x\",[]]]}}}}\n", "[\"unknown\",[]],".repeat(50_000));
            journal(place, &line.repeat(20));
        }),
        run("a journal of long labels", |place| {
            let line = |number: u32| format!("{{\"series\":{{\"first\":{number},\"series\":[[\"halo_supply_online\",[\"{number}{}\"]]]}}}}\n", "x".repeat(900_000));
            journal(place, &(0..100).map(line).collect::<String>());
        }),
        run("a journal of long marks", |place| {
            let line = format!("{{\"mark\":{{\"at\":{{\"monotonic\":0,\"unix\":0}},\"by\":\"halo\",\"name\":\"{}\"}}}}\n", "x".repeat(900_000));
            journal(place, &line.repeat(200));
        }),
        run("a journal of the first and the last moment", |place| {
            let at = |at: i64| format!("{{\"tick\":{{\"at\":{{\"monotonic\":{at},\"unix\":{at}}},\"late\":18446744073709551615,\"cost\":18446744073709551615,\"series\":[],\"values\":[]}}}}\n");
            journal(place, &[at(i64::MIN), at(i64::MAX), at(0)].concat());
        }),
        run("a link for a journal", |place| {
            place.journal("");
            linked(place, "journal.jsonl");
        }),
        run("a FIFO for a journal", |place| {
            place.journal("");
            fifo(&place.clear("journal.jsonl"));
        }),
    ]
}
