//! Cells of models that are called alike: none holds two models, and none is split without need.

use halo::analyze::compare::{Comparison, Judgement, Row, compare};
use halo::run::manifest::Case;
use serde_json::json;

use super::compare::{named, run};

/// Runs of a model for a type of the KV cache, at this speed.
fn of_model(
    file: &str,
    name: &str,
    bytes: u64,
    kv: &str,
    speed: f64,
) -> halo::analyze::compare::Run {
    let speeds: Vec<f64> = (0..10).map(|step| speed + f64::from(step) / 100.0).collect();
    let mut run = run(&format!("{file}-{kv}-{bytes}-{speed}"), &speeds);
    let model = &mut run.manifest.models[0];
    file.clone_into(&mut model.file);
    name.clone_into(&mut model.name);
    model.bytes = Some(bytes);
    let parameters = json!({"type_k": kv, "type_v": kv, "model_filename": file});
    run.manifest.cases = vec![Case {
        task: "llama-bench".to_owned(),
        case: "tg128".to_owned(),
        parameters: serde_json::from_value(parameters).unwrap(),
    }];
    run
}

fn sides(
    models: &[(&str, &str, u64)],
    change: impl Fn(usize, &mut halo::analyze::compare::Run),
) -> Comparison {
    let side = |kv: &str, speed: f64| {
        let runs = models.iter().enumerate().map(|(index, (file, name, bytes))| {
            let mut run = of_model(file, name, *bytes, kv, speed * (index + 1) as f64);
            change(index, &mut run);
            run
        });
        named(kv, runs.collect())
    };
    compare(vec![side("f16", 50.0), side("q8_0", 45.0)], None).unwrap()
}

fn models(comparison: &Comparison) -> Vec<&str> {
    let of_row = |row: &&Row| row.metric == "tokens_per_second";
    let rows = comparison.rows.iter().filter(of_row);
    rows.map(|row| row.cell.iter().find(|(name, _)| name == "model").map_or("", |(_, it)| it))
        .collect()
}

/// Each model stands for itself, on both sides, and what differs is said.
#[track_caller]
fn are_apart(comparison: &Comparison, names: &[&str]) {
    assert_eq!(comparison.by, ["kv"]);
    assert_eq!(comparison.doubts, [""; 0]);
    assert_eq!(models(comparison), names);
    for row in comparison.rows.iter().filter(|row| row.metric == "tokens_per_second") {
        let difference = row.differences[0].as_ref().unwrap();
        assert!((difference.relative + 0.1).abs() < 0.01, "{row:?}");
        assert_eq!(difference.judgement, Judgement::Worse);
    }
}

#[test]
fn quantizations_of_one_model_are_two_models() {
    let two = [
        ("/m/Qwen3-8B-Q4_K_M.gguf", "Qwen3 8B", 5000),
        ("/m/Qwen3-8B-Q8_0.gguf", "Qwen3 8B", 9000),
    ];
    are_apart(&sides(&two, |_, _| {}), &["Qwen3-8B-Q4_K_M", "Qwen3-8B-Q8_0"]);
}

#[test]
fn files_of_one_name_are_told_apart_by_what_differs() {
    let by_name = [("/a/Q4_K_M.gguf", "Qwen3 Coder", 5000), ("/b/Q4_K_M.gguf", "Qwen3 Chat", 5000)];
    are_apart(&sides(&by_name, |_, _| {}), &["Q4_K_M (Qwen3 Coder)", "Q4_K_M (Qwen3 Chat)"]);
    let by_size = [("/a/x.gguf", "Qwen3", 5000), ("/b/x.gguf", "Qwen3", 5001)];
    are_apart(&sides(&by_size, |_, _| {}), &["x (5000 bytes)", "x (5001 bytes)"]);
    let hub = |organization| format!("/hub/models--{organization}--Qwen3-GGUF/snapshots/1/x.gguf");
    let (one, other) = (hub("one"), hub("other"));
    let by_repository = [(&*one, "Qwen3", 5000), (&*other, "Qwen3", 5000)];
    are_apart(&sides(&by_repository, |_, _| {}), &["x (one/Qwen3-GGUF)", "x (other/Qwen3-GGUF)"]);
    let by_content = [("/a/x.gguf", "Qwen3", 5000), ("/b/x.gguf", "Qwen3", 5000)];
    let fingerprint = |index: usize, run: &mut halo::analyze::compare::Run| {
        run.manifest.models[0].fingerprint = Some(format!("{index}234567890"));
    };
    are_apart(&sides(&by_content, fingerprint), &["x (02345678)", "x (12345678)"]);
    // Nobody compared the files, and they lie at two places.
    are_apart(&sides(&by_content, |_, _| {}), &["x (/a/x.gguf)", "x (/b/x.gguf)"]);
}

#[test]
fn one_file_at_two_places_is_one_model() {
    let two = [("/a/x.gguf", "Qwen3", 5000), ("/b/x.gguf", "Qwen3", 5000)];
    let same = |_: usize, run: &mut halo::analyze::compare::Run| {
        run.manifest.models[0].fingerprint = Some("0123456789".to_owned());
    };
    let comparison = sides(&two, same);
    assert_eq!(models(&comparison), [""], "it need not be said of one");
    assert_eq!(comparison.doubts, [""; 0]);
    // A path means what it meant where the command ran.
    let paths =
        [("x.gguf", "Qwen3", 5000), ("/m/x.gguf", "Qwen3", 5000), ("./x.gguf", "Qwen3", 5000)];
    let comparison = sides(&paths, |_, run| "/m".clone_into(&mut run.manifest.command.directory));
    assert_eq!(models(&comparison), [""]);
}

#[test]
fn the_same_model_is_found_however_it_was_named() {
    let files = [
        "/models/Qwen3-8B-Q8_0.gguf",
        "/h/.cache/llama.cpp/unsloth_Qwen3-8B-GGUF_Qwen3-8B-Q8_0.gguf",
        "/h/hub/models--unsloth--Qwen3-8B-GGUF/snapshots/9/Qwen3-8B-Q8_0.gguf",
    ];
    for file in files {
        let one =
            |file: &str, speed| named(file, vec![of_model(file, "Qwen3 8B", 9000, "f16", speed)]);
        let comparison = compare(vec![one(files[0], 50.0), one(file, 45.0)], None).unwrap();
        assert!(!comparison.by.contains(&"model".to_owned()), "{file}: {:?}", comparison.by);
        let alone = |kv: &str| vec![of_model(file, "Qwen3 8B", 9000, kv, 50.0)];
        let by = compare(vec![named("all", [alone("f16"), alone("q8_0")].concat())], Some("model"));
        let by = by.unwrap_err();
        assert!(by.contains("one side alone"), "{by}");
    }
}

#[test]
fn a_file_that_changed_between_the_sides_is_a_doubt() {
    let side = |bytes: u64, speed: f64| {
        named(&bytes.to_string(), vec![of_model("/m/x.gguf", "Qwen3", bytes, "f16", speed)])
    };
    let comparison = compare(vec![side(5000, 50.0), side(5001, 45.0)], None).unwrap();
    assert_eq!(comparison.doubts, ["the files of x differ: 5000 and 5001 bytes"]);
    assert_eq!(
        comparison.rows[0].differences[0].as_ref().unwrap().judgement,
        Judgement::NotComparable
    );
}

/// A command that measured two models, `-m a.gguf,b.gguf`, as halo calls its cases.
fn of_both(kv: &str) -> halo::analyze::compare::Run {
    let mut both = of_model("/m/a.gguf", "A", 1000, kv, 50.0);
    let other = of_model("/m/b.gguf", "B", 2000, kv, 20.0);
    both.name = format!("both-{kv}");
    both.manifest.id.clone_from(&both.name);
    both.manifest.models.extend(other.manifest.models.clone());
    both.manifest.cases.extend(other.manifest.cases.clone());
    both.rows.extend(other.rows.clone());
    let label = |case: &str, file: &str| format!("{case} model={file}");
    for (case, file) in both.manifest.cases.iter_mut().zip(["a.gguf", "b.gguf"]) {
        case.case = label(&case.case, file);
    }
    for (row, file) in both.rows.iter_mut().zip(["a.gguf", "b.gguf"].iter().flat_map(|f| [*f; 10]))
    {
        row.case = label(&row.case, file);
    }
    both
}

#[test]
fn several_models_of_one_command_are_several_cells() {
    let alone = of_model("/m/a.gguf", "A", 1000, "q8_0", 45.0);
    let comparison =
        compare(vec![named("both", vec![of_both("f16")]), named("a", vec![alone])], None).unwrap();
    let row = comparison.rows.iter().find(|row| row.metric == "tokens_per_second").unwrap();
    assert_eq!(row.case, "tg128", "the case of one model and of several is one");
    assert!((row.differences[0].as_ref().unwrap().relative + 0.1).abs() < 0.01, "{row:?}");
    assert_eq!(comparison.unpaired, ["b, tg128: only side 1 has it"]);
    are_apart_in_one_command();
}

fn are_apart_in_one_command() {
    let side = |kv: &str| named(kv, vec![of_both(kv)]);
    let comparison = compare(vec![side("f16"), side("q8_0")], None).unwrap();
    assert_eq!(models(&comparison), ["a", "b"]);
    assert_eq!(comparison.doubts, [""; 0]);
}

#[test]
fn a_model_that_only_a_server_names_is_that_one() {
    let with = |name: &str, kv: &str| {
        let mut run = of_model("", name, 1, kv, 50.0);
        run.manifest.models[0].bytes = None;
        run.manifest.cases[0].parameters.remove("model_filename");
        run
    };
    let side = |kv: &str| named(kv, vec![with("qwen3:8b", kv), with("gemma3:4b", kv)]);
    let comparison = compare(vec![side("f16"), side("q8_0")], None).unwrap();
    assert_eq!(models(&comparison), ["qwen3:8b", "gemma3:4b"]);
    // llama-server without an alias calls it as its file.
    let path = compare(
        vec![
            named("a", vec![of_model("/m/x.gguf", "x.gguf", 1, "f16", 50.0)]),
            named("b", vec![with("/m/x.gguf", "f16")]),
        ],
        None,
    );
    assert_eq!(path.unwrap().by, [""; 0]);
}
