//! Score, time and energy of two models beside each other.

use serde_json::Value;

use super::{Bench, server};
use crate::record::text;

/// Where the stand-in for evalplus left its results.
const RESULTS: &str = "evalplus_results/humaneval/tiny_openai_temp_0.0_eval_results.json";

/// A suite in which evalplus takes so long and then does this, under a tag.
fn measure(bench: &Bench, tag: &str, seconds: f64, script: &str) {
    bench.tool(
        "evalplus.evaluate",
        "evalplus/plus",
        &format!("echo 'Codegen: HumanEval/0 @ tiny'; sleep {seconds}; {script}"),
    );
    let server = server();
    let output = bench.suite(&server, &["--tag", tag]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// The archive of a user who ran evalplus for two models.
fn two_models() -> Bench {
    let bench = Bench::new();
    std::fs::write(
        bench.path().join("evals.toml"),
        "[[eval]]\nname = \"one\"\nsuites = [\"mini\"]\npackages = [\"evalplus\"]\n\
         command = [\"evalplus.evaluate\", \"--model\", \"{model}\", \"--dataset\", \"humaneval\"]\n",
    )
    .unwrap();
    let all_pass = format!("sed -i 's/\"fail\"/\"pass\"/g' {RESULTS}");
    measure(&bench, "q4", 3.3, "");
    measure(&bench, "q8", 4.3, &all_pass);
    bench
}

fn report(bench: &Bench, arguments: &[&str]) -> String {
    bench.archive.print(&[&["report"], arguments].concat())
}

#[test]
fn models_are_compared_by_score_time_and_energy() {
    let bench = two_models();
    let compared = bench.archive.print(&["compare", "q4", "q8"]);
    let line = |begin: &str| {
        let mut lines = compared.lines().filter(|line| line.starts_with(begin));
        lines.next().unwrap_or_else(|| panic!("{begin}: {compared}")).to_owned()
    };
    line("humaneval+ pass@1  A   0.400  0.118 to 0.769");
    let scores = line("humaneval+ pass@1  B   1.000  0.566 to 1.000");
    for part in ["+0.600", "+3 -0 of 5", "~ p="] {
        assert!(scores.contains(part), "{part}: {scores}");
    }
    // The better one costs more, so neither beats the other.
    let frontier = line("humaneval+: on the frontier of pass@1 and energy for a sample: A (");
    assert!(frontier.contains(" J), B ("), "{frontier}");
    line("humaneval+: on the frontier of pass@1 and time for a sample: A (");

    let json: Value =
        serde_json::from_str(&report(&bench, &["q4", "q8", "--format", "json"])).unwrap();
    let pictures = json["pareto"].as_array().unwrap();
    let named: Vec<String> = pictures
        .iter()
        .map(|one| format!("{} {} {}", one["task"], one["metric"], one["cost"]).replace('"', ""))
        .collect();
    let expected = ["humaneval pass@1 energy", "humaneval pass@1 time"];
    assert_eq!(named[..2], expected);
    assert_eq!(named.len(), 4, "the stricter score has its own pictures");
    for candidate in pictures[0]["candidates"].as_array().unwrap() {
        assert_eq!(candidate["is_on_frontier"], true);
        // The machine is a picture: 119.8 W at any time, shared among five samples.
        let joules = candidate["cost"].as_f64().unwrap();
        assert!(joules > 3.3 * 119.0 / 5.0 && joules < 10.0 * 120.0 / 5.0, "{candidate}");
    }
    let markdown = report(&bench, &["q4", "q8", "--format", "md"]);
    assert!(markdown.contains("## humaneval+: pass@1 against energy"), "{markdown}");
}

#[test]
fn a_part_of_an_eval_is_in_no_picture() {
    let bench = two_models();
    // It leaves its results and fails all the same.
    bench.tool("evalplus.evaluate", "evalplus/plus", "sleep 0.3; exit 3");
    let output = bench
        .eval(&["--tag", "broken", "--lead", "0", "--", ".venv/bin/evalplus.evaluate"])
        .args(["--dataset", "humaneval"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let json = report(&bench, &["q4", "q8", "broken", "--format", "json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["runs"].as_array().unwrap().len(), 3);
    assert_eq!(report["runs"][2]["manifest"]["scores"][0]["value"], 0.6);
    for picture in report["pareto"].as_array().unwrap() {
        assert_eq!(picture["candidates"].as_array().unwrap().len(), 2, "{picture}");
    }
}
