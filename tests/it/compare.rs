//! Comparing as a user does it: `halo-record compare` and `ab`, with the stand-in for llama-bench.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::campaign::{User, code, write};
use crate::program::host_flags;
use crate::record::{manifest, text};

/// A configuration with which the fixture machine, whose graphics processor never rests, is clean.
fn config(user: &User) -> PathBuf {
    let path = user.home.path().join("halo.toml");
    // A machine that is busy with other tests skips samples.
    let verdict = "[verdict]\ncontended_share = 1.0\nshortest_phase = 0.0\ngaps_share = 1.0\n\
                   evidence = []\n";
    write(&path, verdict);
    path
}

fn flags(user: &User) -> Vec<String> {
    let config = format!("--config.file={}", config(user).display());
    let mut flags = vec![config, "--lead=0".to_owned(), "--interval=50ms".to_owned()];
    flags.extend(host_flags("strix-halo-desktop-128g"));
    flags
}

/// Records the stand-in with a tag and more of its flags.
fn benchmark(user: &User, tag: &str, more: &[&str]) {
    let model = user.model("ok.gguf").display().to_string();
    let mut program = user.program(&["benchmark", "--tag", tag]);
    program.args(flags(user)).args(["--", "llama-bench", "-m", &model, "-p", "512", "-n", "128"]);
    let output = program.args(more).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
}

fn compare(user: &User, arguments: &[&str]) -> Output {
    user.program(&["compare"]).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// Speeds of the stand-in: 1000 and more for the prompt, 500 and more for generation, 10 less with
/// another type of the cache.
fn two(user: &User) {
    benchmark(user, "before", &["-r", "10"]);
    benchmark(user, "after", &["-r", "10", "-ctk", "q8_0"]);
}

#[test]
fn two_runs_are_compared_by_every_name_that_they_have() {
    let user = User::with_models(&["ok.gguf"]);
    two(&user);
    let runs: Vec<String> = user
        .archive
        .runs()
        .iter()
        .map(|run| run.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let expected = compare(&user, &[&runs[0], &runs[1], "--json"]);
    assert_eq!(code(&expected), 0, "{}", text(&expected.stderr));
    let rows = |output: &Output| json(output)["comparison"]["rows"].clone();
    for sides in [
        ["before", "after"],
        ["tag=before", "latest"],
        ["tag=before,model=ok", "tag=after,tool=llama-bench"],
    ] {
        let output = compare(&user, &[sides[0], sides[1], "--json"]);
        assert_eq!(code(&output), 0, "{sides:?}: {}", text(&output.stderr));
        assert_eq!(rows(&output), rows(&expected), "{sides:?}");
    }
    let value = json(&expected);
    assert_eq!(value["comparison"]["by"], serde_json::json!(["kv"]));
    let speed = |case: &str| {
        let rows = value["comparison"]["rows"].as_array().unwrap().clone();
        let row = rows
            .into_iter()
            .find(|row| row["case"] == case && row["metric"] == "tokens_per_second");
        row.unwrap()["differences"][0].clone()
    };
    let generation = speed("tg128");
    assert_eq!(generation["judgement"], "worse");
    let relative = generation["relative"].as_f64().unwrap();
    assert!((relative - (494.5 / 504.5 - 1.0)).abs() < 0.001, "{generation}");

    let shown = text(&compare(&user, &["before", "after"]).stdout);
    for part in ["A  before", "tokens_per_second [1/s]", "B against A", "worse p<0.001", "n=10"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("command") && shown.contains("q8_0"), "{shown}");
}

#[test]
fn one_campaign_is_put_apart_by_a_dimension() {
    let user = User::with_models(&["ok.gguf"]);
    let config = format!("--config.file={}", config(&user).display());
    let more = ["--kv-types", "f16,q8_0,q4_0", "--skip-longctx", "--reps", "6", &config];
    assert_eq!(code(&user.run(&["ok.gguf"], &more)), 0);
    let output = compare(&user, &[&user.name(), "--by", "kv", "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let sides = json(&output)["comparison"]["sides"].clone();
    let names: Vec<&str> =
        sides.as_array().unwrap().iter().map(|side| side["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["kv=f16", "kv=q4_0", "kv=q8_0"]);
}

#[test]
fn the_exit_code_tells_what_became_of_a_condition() {
    let user = User::with_models(&["ok.gguf"]);
    two(&user);
    let gate = |condition: &str| compare(&user, &["before", "after", "--fail-on", condition]);
    assert_eq!(code(&gate("tokens_per_second < -0.5%")), 1);
    assert_eq!(code(&gate("tokens_per_second < -5%")), 0);
    assert_eq!(code(&gate("score < -5%")), 3, "nobody measured it");
    let output = gate("tokens_per_second < -0.5%");
    assert!(text(&output.stdout).contains("regression: tg128, tokens_per_second: -1.9"));

    // The same runs on a machine that was in use: nothing may be claimed.
    let other = User::with_models(&["ok.gguf"]);
    for (tag, more) in [("before", None), ("after", Some(["-ctk", "q8_0"]))] {
        let model = other.model("ok.gguf").display().to_string();
        let mut program = other.program(&["benchmark", "--tag", tag, "--interval=50ms"]);
        program.args(host_flags("strix-halo-desktop-128g")).args(["--lead", "200ms"]);
        program.args(["--", "llama-bench", "-m", &model, "-p", "512", "-n", "0", "-r", "10"]);
        assert_eq!(code(&program.args(more.into_iter().flatten()).output().unwrap()), 0);
    }
    let output = compare(&other, &["before", "after", "--fail-on", "tokens_per_second < -0.5%"]);
    assert_eq!(code(&output), 3);
    let said = text(&output.stdout);
    assert!(said.contains("not comparable: contended: "), "{said}");
}

#[test]
fn what_cannot_be_compared_is_refused_in_a_line() {
    let user = User::with_models(&["ok.gguf"]);
    benchmark(&user, "before", &["-r", "2"]);
    for (arguments, part) in [
        (&["before"][..], "one side alone"),
        (&["before", "nothing"], "nothing: no such run"),
        (&["tag=before", "tag=nothing"], "tag=nothing: no such runs"),
        (&["before", "tag=x,color=red"], "expected filters by tag, model, tool or campaign"),
        (&["before", "latest", "--fail-on", "tokens < 3"], "'tokens_per_second < -3%'"),
        (&["before", "--by", "planet"], "--by planet"),
        (&[], "SIDE"),
    ] {
        let output = compare(&user, arguments);
        let said = text(&output.stderr);
        assert_eq!(code(&output), 2, "{arguments:?}: {said}");
        assert!(said.contains(part) && said.trim().lines().count() == 1, "{arguments:?}: {said}");
    }
}

#[test]
fn thresholds_that_cannot_be_are_refused_before_anything_runs() {
    let user = User::with_models(&[]);
    for (keys, part) in [
        ("gaps_share = 2.0", "[verdict] gaps_share = 2: expected a share from 0 to 1"),
        ("coverage = nan", "[verdict] coverage = NaN: expected a share"),
        ("shortest_phase = -1.0", "[verdict] shortest_phase = -1: expected a number"),
        ("evidence = [\"luck\"]", "luck"),
    ] {
        let path = user.home.path().join("halo.toml");
        write(&path, &format!("[verdict]\n{keys}\n"));
        let config = format!("--config.file={}", path.display());
        let output = user.program(&["run", &config, "--", "true"]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(code(&output), 2, "{keys}: {said}");
        assert!(said.contains(part) && said.trim().lines().count() == 1, "{keys}: {said}");
    }
    assert!(user.archive.runs().is_empty());
}

/// A typing error in a gate must not look like a gate that passed or cannot tell.
#[test]
fn a_condition_on_a_metric_that_nobody_knows_is_refused_with_those_that_are_known() {
    let user = User::with_models(&["ok.gguf"]);
    two(&user);
    for (metric, meant) in [
        ("tokens_per_secnd", "did you mean tokens_per_second? "),
        ("token_per_second", "did you mean tokens_per_second? "),
        ("dration", "did you mean duration? "),
        ("flavour", ""),
    ] {
        let condition = format!("{metric} < -3%");
        let output = compare(&user, &["before", "after", "--fail-on", &condition]);
        let said = text(&output.stderr);
        assert_eq!(code(&output), 2, "{condition}: {said}");
        assert!(output.stdout.is_empty(), "{said}");
        let expected = format!("--fail-on {metric}: no such metric; {meant}measured are ");
        assert!(said.contains(&expected) && said.contains("tokens_per_second"), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
    // One of several is enough.
    let both = ["--fail-on", "tokens_per_second < -5%", "--fail-on", "tokens_per_hour < -3%"];
    assert_eq!(code(&compare(&user, &[&["before", "after"], &both[..]].concat())), 2);

    // `ab` says so before it runs anything.
    let runs = user.archive.runs().len();
    let output = interleave(&user, "f16", "q8_0", &["--fail-on", "tokens_per_secnd < -3%"]);
    let said = text(&output.stderr);
    assert_eq!(code(&output), 2, "{said}");
    assert!(said.contains("did you mean tokens_per_second? known are accuracy, "), "{said}");
    assert_eq!(user.archive.runs().len(), runs);
}

/// One question of two runs: what the gate asks about, and not all that is printed.
#[test]
fn a_gate_of_one_run_a_side_to_three_says_the_same() {
    let user = User::with_models(&["ok.gguf"]);
    for count in 1..=5 {
        benchmark(&user, "before", &["-r", "5"]);
        benchmark(&user, "after", &["-r", "5", "-ctk", "q8_0"]);
        let output = compare(
            &user,
            &["before", "after", "--fail-on", "tokens_per_second < -0.9%", "--json"],
        );
        assert_eq!(code(&output), 1, "{count} runs: {}", json(&output)["findings"]);
    }
}

#[test]
fn rounds_that_can_tell_nothing_are_said_before_they_begin() {
    let user = User::with_models(&["ok.gguf"]);
    let condition = ["--fail-on", "tokens_per_second < -3%"];
    for (more, warning) in [
        (
            &["--rounds", "2"][..],
            "2 rounds are too few to call a difference of 3 % where runs vary by 1 %: 5 needed",
        ),
        (&["--rounds", "5"], ""),
        (
            &["--rounds", "4", "--fail-on", "tokens_per_second < -1%"],
            "4 rounds are too few to call a difference of 1 % where runs vary by 1 %: ",
        ),
        (&["--rounds", "3", "--fail-on", "tokens_per_second < -20%"], ""),
    ] {
        let more = [more, &["--budget", "1ms"]].concat();
        let all = if more.contains(&"--fail-on") { more } else { [&more[..], &condition].concat() };
        let said = text(&interleave(&user, "f16", "q8_0", &all).stderr);
        if warning.is_empty() {
            assert!(!said.contains("too few"), "{all:?}: {said}");
        } else {
            let first = said.lines().next().unwrap_or_default();
            assert!(first.contains(warning), "{all:?}: {said}");
        }
    }
}

fn interleave(user: &User, a: &str, b: &str, more: &[&str]) -> Output {
    let model = user.model("ok.gguf").display().to_string();
    let command = |kv: &str| format!("llama-bench -m '{model}' -p 512 -n 0 -r 2 -ctk {kv}");
    let mut program = user.program(&["ab", "--a", &command(a), "--b", &command(b)]);
    program.args(flags(user)).args(more).output().unwrap()
}

#[test]
fn two_commands_run_in_turn_and_are_compared_in_pairs() {
    let user = User::with_models(&["ok.gguf"]);
    let output = interleave(&user, "f16", "q8_0", &["--rounds", "6", "--json", "--tag", "try"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let order: Vec<String> = user
        .archive
        .runs()
        .iter()
        .map(|run| {
            let tags = manifest(run).tags;
            assert!(tags.contains_key("try"));
            format!("{}{}", tags["side"].as_ref().unwrap(), tags["round"].as_ref().unwrap())
        })
        .collect();
    let expected = ["a1", "b1", "b2", "a2", "a3", "b3", "b4", "a4", "a5", "b5", "b6", "a6"];
    assert_eq!(order, expected);
    let value = json(&output);
    let rows = value["comparison"]["rows"].as_array().unwrap();
    let speed = rows.iter().find(|row| row["metric"] == "tokens_per_second").unwrap();
    assert_eq!(speed["figures"][0]["of"], "runs");
    assert_eq!(speed["differences"][0]["is_paired"], true);
    // Ten less of a thousand in every round.
    let relative = speed["differences"][0]["relative"].as_f64().unwrap();
    assert!((relative + 0.0).abs() < 1e-9, "both have another type than f16: {relative}");

    // What was run in turn can be compared again later.
    let name = manifest(&user.archive.runs()[0]).campaign.unwrap();
    let again = compare(&user, &[&name, "--by", "side", "--json"]);
    assert_eq!(json(&again)["comparison"]["rows"][0]["differences"][0]["is_paired"], true);
}

#[test]
fn running_in_turn_ends_when_the_interval_is_narrow_or_the_budget_is_spent() {
    let user = User::with_models(&["ok.gguf"]);
    let output = interleave(&user, "f16", "q8_0", &["--rounds", "50", "--precision", "1%"]);
    let said = text(&output.stderr);
    assert!(said.contains("narrow enough after 6 rounds"), "{said}");
    assert_eq!(user.archive.runs().len(), 12);
    let output = interleave(&user, "f16", "q8_0", &["--rounds", "50", "--budget", "1ms"]);
    let said = text(&output.stderr);
    assert!(said.contains("the budget is spent after 1 rounds"), "{said}");
    assert_eq!(user.archive.runs().len(), 14);
}

#[test]
fn running_in_turn_ends_where_a_command_fails_and_refuses_what_it_cannot_run() {
    let user = User::with_models(&["ok.gguf"]);
    let ab = |a: &str, b: &str, more: &[&str]| {
        let mut program = user.program(&["ab", "--a", a, "--b", b, "--rounds", "3"]);
        program.args(flags(&user)).args(more).output().unwrap()
    };
    let output = ab("true", "false", &[]);
    let said = text(&output.stderr);
    assert_eq!(code(&output), 3, "{said}");
    assert!(said.contains("b failed in round 1"), "{said}");
    assert_eq!(user.archive.runs().len(), 2);
    for (a, b, more, part) in [
        ("sleep '1", "true", &[][..], "a quote is not closed"),
        ("", "true", &[], "expected a command line"),
        ("true", "no-such-program", &[], "no-such-program"),
        ("true", "true", &["--tag", "side=x"], "--tag side"),
        ("true", "true", &["--precision", "1"], "expected percent"),
        ("true", "true", &["--rounds", "1"], "1 is not in 2..=1000"),
    ] {
        let output = ab(a, b, more);
        let said = text(&output.stderr);
        assert_eq!(code(&output), 2, "{a} {b}: {said}");
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn repetitions_are_raised_until_phases_are_long_enough() {
    let user = User::with_models(&["slow.gguf"]);
    let model = user.model("slow.gguf").display().to_string();
    let run = |least: &str| {
        let mut program = user.program(&["benchmark", "--min-phase", least]);
        program.args(flags(&user)).args(["--", "llama-bench", "-m", &model, "-p", "512"]);
        program.args(["-n", "0", "-r", "2"]).output().unwrap()
    };
    let output = run("1s");
    let said = text(&output.stderr);
    assert_eq!(code(&output), 0, "{said}");
    assert!(said.contains("with 2 repetitions; again with 1"), "{said}");
    let runs = user.archive.runs();
    assert_eq!(runs.len(), 2);
    let times = |run: &PathBuf| {
        let command = manifest(run).command;
        command.ended.unwrap().duration_since(command.started.unwrap()).as_secs_f64()
    };
    assert!(times(&runs[0]) < 1.0 && times(&runs[1]) >= 1.0);
    assert_eq!(code(&run("100ms")), 0);
    assert_eq!(user.archive.runs().len(), 3, "it was long enough at once");
    let mut program = user.program(&["benchmark", "--min-phase", "1s", "--", "true"]);
    let output = program.output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("--min-phase"), "{}", text(&output.stderr));
}

#[test]
fn a_campaign_of_two_quantizations_of_one_model_is_compared_by_kv_type() {
    let user = User::with_models(&[]);
    for (name, weights) in [("ok.Q4_K_M.gguf", 4), ("ok.Q8_0.gguf", 8)] {
        let mut bytes = crate::model::Gguf::new().string("general.name", "Qwen3 8B").build();
        bytes.extend(vec![0; weights]);
        std::fs::write(user.model(name), bytes).unwrap();
    }
    let flags = ["--kv-types", "f16,q8_0", "--skip-longctx", "--pp", "512", "--tg", "0"];
    let output = user.run(&["ok.Q4_K_M.gguf", "ok.Q8_0.gguf"], &flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let campaign = user.name();
    let by = |dimension: &str| {
        let output = compare(&user, &[&campaign, "--by", dimension, "--json"]);
        json(&output)["comparison"].clone()
    };
    let compared = by("kv");
    let doubts = compared["doubts"].to_string();
    assert!(!doubts.contains("the files of"), "{doubts}");
    let names = ["ok.Q4_K_M", "ok.Q8_0"];
    let speeds = compared["rows"].as_array().unwrap().iter();
    let speeds: Vec<&Value> = speeds.filter(|row| row["metric"] == "tokens_per_second").collect();
    let model = |row: &&Value| {
        let cell = row["cell"].as_array().unwrap();
        cell.iter().find(|said| said[0] == "model").map(|said| said[1].clone()).unwrap_or_default()
    };
    let models: Vec<Value> = speeds.iter().map(model).collect();
    assert_eq!(models, names, "{compared:#}");
    assert!(speeds.iter().all(|row| row["figures"][1].is_object()), "{speeds:?}");

    // The same name everywhere.
    let list = user.archive.print(&["list"]);
    let shown = user.archive.print(&["show", &campaign]);
    let by = by("model");
    for (side, name) in names.into_iter().enumerate() {
        assert!(list.contains(name) && shown.contains(name), "{list}\n{shown}");
        assert_eq!(by["sides"][side]["name"], format!("model={name}"));
        let found = user.archive.json(&["list", "--json", "--model", name]);
        assert_eq!(found.as_array().unwrap().len(), 2, "{name}");
    }
    let both = user.archive.json(&["list", "--json", "--model", "qwen3 8b"]);
    assert_eq!(both.as_array().unwrap().len(), 4, "by what the header says, too");
    let run = user.archive.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let shown = user.archive.print(&["show", &run]);
    assert!(shown.contains("Qwen3 8B)"), "{shown}");
}
