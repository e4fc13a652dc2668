//! No planted secret survives, whatever stands in front of it and behind it.

#![no_main]

use halo::redact::{Kind, Redactor};

/// What is planted, and what of it must be gone.
const PLANTED: [(&str, &str); 14] = [
    ("hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567", "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"),
    ("wJalrXUtnFEMI7K7MDENGbPxRfiCYzEXAMPL3K3Y", "wJalrXUtnFEMI7K7MDENGbPxRfiCYzEXAMPL3K3Y"),
    ("HF_TOKEN=zqsecret17", "zqsecret17"),
    ("{\"api_key\": \"zqsecret17\"}", "zqsecret17"),
    ("https://me:zqsecret17@example.org/", "zqsecret17"),
    ("/mnt/zqplace/m.gguf", "zqplace"),
    ("-m/mnt/zqplace/m.gguf", "zqplace"),
    ("~/zqplace/m.gguf", "zqplace"),
    ("192.168.17.44", "192.168.17.44"),
    ("fe80::1ff:fe23:4567:890a", "fe23:4567"),
    ("52:54:00:ab:cd:ef", "52:54:00:ab:cd:ef"),
    ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
    ("zqbox", "zqbox"),
    ("xq", " xq "),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [number, cut, bytes @ ..] = bytes else { return };
    let text = String::from_utf8_lossy(bytes);
    let mut cut = usize::from(*cut).min(text.len());
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let (planted, secret) = PLANTED[usize::from(*number) % PLANTED.len()];
    let (before, after) = text.split_at(cut);
    // What is glued to a word is a part of another word.
    let all = format!("{before} {planted} {after}");
    let names = [("zqbox", Kind::Host), ("xq", Kind::User)];
    let names = names.map(|(name, kind)| (name.to_owned(), kind));
    let mut redactor = Redactor::new(names, [], Vec::new());
    // What stands around it may have the same by chance, with what cannot be seen in it.
    if [before, after].into_iter().any(|text| redactor.clean(text).contains(secret)) {
        return;
    }
    let clean = redactor.clean(&all);
    assert!(!clean.contains(secret), "{all:?} became {clean:?}");
});
