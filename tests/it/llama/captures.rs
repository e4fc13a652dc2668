//! Every captured answer is read as the golden text says.

use std::fmt::Write;
use std::fs;

use halo::source::llama::{text, vllm, watch};

use crate::machine::{ensure_contents, fixtures};

/// The body of a captured answer, with or without its head.
pub(super) fn body(capture: &str) -> &str {
    let has_head = capture.starts_with("HTTP/1.1 ");
    let body = has_head.then(|| {
        capture.split_once("\r\n\r\n").or_else(|| capture.split_once("\n\n")).map(|(_, body)| body)
    });
    body.flatten().unwrap_or(capture)
}

pub(super) fn capture(name: &str) -> String {
    let path = fixtures().join("llama/captures").join(name);
    String::from_utf8_lossy(&fs::read(&path).unwrap_or_else(|_| panic!("{name}"))).into_owned()
}

#[test]
fn every_capture_is_read_as_its_golden_text_says() {
    let directory = fixtures().join("llama");
    let mut names: Vec<String> = fs::read_dir(directory.join("captures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut golden = String::new();
    for name in names {
        let capture = capture(&name);
        let body = body(&capture);
        writeln!(golden, "# {name}").unwrap();
        for (family, value) in text::metrics(body) {
            writeln!(golden, "{family} {value}").unwrap();
        }
        for slot in text::slots(body).into_iter().flatten() {
            writeln!(golden, "{slot:?}").unwrap();
        }
        if let Some(props) = text::props(body) {
            writeln!(golden, "{props:?}").unwrap();
        }
        if let Some(loaded) = text::loaded_models(body).filter(|_| body.contains("\"status\"")) {
            writeln!(golden, "loaded {loaded:?}").unwrap();
        }
        golden.push('\n');
    }
    ensure_contents([(directory.join("parsed.txt"), golden)]);
}

#[test]
fn any_text_is_read_or_is_none() {
    use proptest::prelude::*;
    proptest!(|(text in "\\PC{0,300}", number in 0..5_usize)| {
        let names = ["metrics_3_in_flight.txt", "slots_2_in_flight.json", "props.txt", "router_models_loaded.json"];
        let real = match names.get(number) {
            Some(name) => capture(name),
            None => super::vllm::METRICS.to_owned(),
        };
        let cut = real.floor_char_boundary(text.len() * 7 % real.len());
        for text in [&*text, &format!("{}{text}", &real[..cut])] {
            let _ = (text::metrics(text), text::slots(text), text::props(text));
            let _ = (text::loaded_models(text), text::running(text), text::backends(text));
            let _ = (text::health(text), text::ollama_models(text), vllm::figures(text));
            let _ = text::sleeping_models(text);
            let _ = (vllm::build(text), vllm::contexts(text), watch::open_connection(text, 80));
        }
    });
}

#[test]
fn a_body_that_was_quoted_as_json_is_read() {
    let quoted = serde_json::to_string(body(&capture("metrics_3_in_flight.txt"))).unwrap();
    assert_eq!(text::metrics(&quoted), text::metrics(body(&capture("metrics_3_in_flight.txt"))));
}

#[test]
fn what_is_not_finite_or_has_labels_is_left_out() {
    let body = "llamacpp:a inf\nllamacpp:b nan\nllamacpp:c 1.00233e+06\nllamacpp:d{p=\"1\"} 2\n\
                llamacpp:e -1\nother 3\nllamacpp:f\nllamacpp:g x\n";
    let values: Vec<(String, f64)> = text::metrics(body).into_iter().collect();
    assert_eq!(values, [("c".to_owned(), 1_002_330.0)]);
}

#[test]
fn a_model_is_a_part_of_a_query() {
    assert_eq!(text::query("a b/c&d"), "model=a+b%2Fc%26d&autoload=false");
}
