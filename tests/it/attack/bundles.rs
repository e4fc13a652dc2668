//! Bundles, and files that are imported.

use std::fs::{self, File};
use std::io::{Read, Write, repeat};
use std::os::unix::fs::symlink;

use tar::{Builder, EntryType, Header};

use super::files::fifo;
use super::{Case, Place, RUN, file};

type Packed = Builder<zstd::Encoder<'static, File>>;

const BUNDLE: &str = "hostile.tar.zst";

/// A bundle that begins as it should, and goes on as it should not.
fn bundle(place: &Place, more: impl FnOnce(&mut Packed)) {
    let manifest = fs::read(place.run("manifest.json")).unwrap();
    bare(place, |packed| {
        add(
            packed,
            EntryType::Regular,
            &format!("{RUN}/manifest.json"),
            manifest.len() as u64,
            &*manifest,
        );
        more(packed);
    });
}

fn bare(place: &Place, more: impl FnOnce(&mut Packed)) {
    let output = File::create(place.path("work").join(BUNDLE)).unwrap();
    let mut packed = Builder::new(zstd::Encoder::new(output, 1).unwrap());
    more(&mut packed);
    packed.into_inner().unwrap().finish().unwrap();
}

/// Adds a member whose name is taken as it is.
fn add(packed: &mut Packed, kind: EntryType, name: &str, size: u64, content: impl Read) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    packed.append(&header, content).unwrap();
}

fn linked(place: &Place, kind: EntryType) {
    bundle(place, |packed| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_path(format!("{RUN}/raw/stdout")).unwrap();
        header.set_link_name(place.path("outside/secret.txt")).unwrap();
        header.set_cksum();
        packed.append(&header, &[][..]).unwrap();
    });
}

fn named(place: &Place, name: &str) {
    bundle(place, |packed| add(packed, EntryType::Regular, name, 1, &b"x"[..]));
}

fn bytes(place: &Place, name: &str, bytes: &[u8]) {
    fs::write(place.path("work").join(name), bytes).unwrap();
}

/// Zeros, and as many of them as the header says.
fn zeros(place: &Place, kind: EntryType, name: &str, size: u64) {
    bundle(place, |packed| add(packed, kind, name, size, repeat(0).take(size)));
}

#[rustfmt::skip]
pub(super) fn cases() -> Vec<Case> {
    vec![
        file("a member that climbs", BUNDLE, |place| named(place, &format!("{RUN}/../../outside/new"))),
        file("a member at the root", BUNDLE, |place| named(place, "/tmp/halo-hostile")),
        file("a member that is no text", BUNDLE, |place| bundle(place, |packed| {
            let mut header = Header::new_gnu();
            header.set_size(0);
            header.as_old_mut().name[..2].copy_from_slice(b"\xff/");
            header.set_cksum();
            packed.append(&header, &[][..]).unwrap();
        })),
        file("a hard link in a bundle", BUNDLE, |place| linked(place, EntryType::Link)),
        file("a link in a bundle", BUNDLE, |place| linked(place, EntryType::Symlink)),
        file("a FIFO in a bundle", BUNDLE, |place| linked(place, EntryType::Fifo)),
        file("a device in a bundle", BUNDLE, |place| linked(place, EntryType::Char)),
        file("a sparse file in a bundle", BUNDLE, |place| linked(place, EntryType::GNUSparse)),
        file("a header that is extended by a GiB", BUNDLE, |place| zeros(place, EntryType::XHeader, "x", 1 << 30)),
        file("a header for all that is extended", BUNDLE, |place| zeros(place, EntryType::XGlobalHeader, "x", 300 << 20)),
        file("a name of 300 MiB", BUNDLE, |place| zeros(place, EntryType::GNULongName, "x", 300 << 20)),
        file("a name for a link of 300 MiB", BUNDLE, |place| zeros(place, EntryType::GNULongLink, "x", 300 << 20)),
        file("long names alone", BUNDLE, |place| bundle(place, |packed| {
            for _ in 0..50_000 {
                add(packed, EntryType::GNULongName, "x", 512, &[b'x'; 512][..]);
            }
        })),
        file("a member of half a GiB", BUNDLE, |place| zeros(place, EntryType::Regular, &format!("{RUN}/raw/stdout"), 512 << 20)),
        file("a member that says 2^63", BUNDLE, |place| bundle(place, |packed| {
            add(packed, EntryType::Regular, &format!("{RUN}/raw/stdout"), 1 << 63, &b"x"[..]);
        })),
        file("a manifest of half a GiB", BUNDLE, |place| bare(place, |packed| {
            add(packed, EntryType::Regular, &format!("{RUN}/manifest.json"), 512 << 20, repeat(b' ').take(512 << 20));
        })),
        file("a bundle without a manifest", BUNDLE, |place| bare(place, |packed| {
            add(packed, EntryType::Regular, &format!("{RUN}/raw/stdout"), 1, &b"x"[..]);
        })),
        file("a hundred thousand members", BUNDLE, |place| bundle(place, |packed| {
            for number in 0..100_000 {
                add(packed, EntryType::Regular, &format!("{RUN}/{number}"), 0, &[][..]);
            }
        })),
        file("a member twice", BUNDLE, |place| bundle(place, |packed| {
            add(packed, EntryType::Regular, &format!("{RUN}/raw/x"), 1, &b"x"[..]);
            add(packed, EntryType::Regular, &format!("{RUN}/raw/x"), 1, &b"y"[..]);
        })),
        file("two runs in a bundle", BUNDLE, |place| named(place, "other/raw/stdout")),
        file("a bundle of a window of a GiB", BUNDLE, |place| {
            let output = File::create(place.path("work").join(BUNDLE)).unwrap();
            let mut packed = zstd::Encoder::new(output, 1).unwrap();
            packed.window_log(30).unwrap();
            packed.write_all(&vec![7; 16 << 20]).unwrap();
            packed.finish().unwrap();
        }),
        file("a bundle of garbage", BUNDLE, |place| bytes(place, BUNDLE, &[0xaa; 4096])),
        file("a bundle without bytes", BUNDLE, |place| bytes(place, BUNDLE, b"")),
        file("a FIFO for a bundle", BUNDLE, |place| fifo(&place.path("work").join(BUNDLE))),
        file("a directory for a bundle", BUNDLE, |place| fs::create_dir(place.path("work").join(BUNDLE)).unwrap()),
        file("a link for a bundle", BUNDLE, |place| {
            symlink(place.path("outside/secret.txt"), place.path("work").join(BUNDLE)).unwrap();
        }),
        file("a FIFO that is imported", "x.jsonl", |place| fifo(&place.path("work/x.jsonl"))),
        file("zeros that are imported", "/dev/zero", |_| {}),
        file("a TiB that is imported", "x.jsonl", |place| {
            File::create(place.path("work/x.jsonl")).unwrap().set_len(1 << 40).unwrap();
        }),
        file("line ends that are imported", "x.md", |place| bytes(place, "x.md", &vec![b'\n'; 8 << 20])),
        file("lists that are imported", "x.json", |place| bytes(place, "x.json", "[0],".repeat(2 << 20).as_bytes())),
        file("lists in lists that are imported", "x.json", |place| bytes(place, "x.json", &vec![b'['; 8 << 20])),
        file("commas that are imported", "x.csv", |place| bytes(place, "x.csv", &vec![b','; 8 << 20])),
        file("quotes that are imported", "x.sql", |place| bytes(place, "x.sql", &vec![b'\''; 8 << 20])),
    ]
}
