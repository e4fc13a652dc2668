//! Comparisons of runs whose truth is known.

mod gate;
mod power;

use halo::analyze::compare::gate::{Condition, Finding, Outcome, check};
use halo::analyze::compare::{Comparison, Judgement, Named, Run, Unit, compare};
use halo::run::Row;
use halo::run::manifest::{Case, Flag, Kind, Manifest, Model, Origin, State, Tool, Verdict};

/// A generator of numbers that is the same everywhere (`SplitMix64`), so that a test always sees the
/// same noise.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of a normal distribution around 0 with deviation 1.
    pub(super) fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    pub(super) fn sample<const N: usize>(&mut self, mean: f64, deviation: f64) -> [f64; N] {
        std::array::from_fn(|_| mean * (1.0 + deviation * self.normal()))
    }
}

/// A clean run of llama-bench with these speeds of tg128, one a repetition.
pub(super) fn run(name: &str, speeds: &[f64]) -> Run {
    let tool = Tool { name: "llama-bench".to_owned(), version: Some("b11434".to_owned()) };
    let mut manifest = Manifest::begin(
        name.to_owned(),
        Kind::Benchmark,
        Origin::Recorded,
        State::Complete,
        jiff::Timestamp::UNIX_EPOCH,
        tool,
    );
    manifest.verdict =
        Some(Verdict { label: "clean".to_owned(), reasons: Vec::new(), missing: Vec::new() });
    manifest.models = vec![Model {
        name: "Qwen3".to_owned(),
        file: "/models/qwen3.gguf".to_owned(),
        bytes: Some(1000),
        ..Model::default()
    }];
    manifest.cases = vec![case("tg128", "f16")];
    let rows = speeds.iter().zip(1..).map(|(speed, repetition)| Row {
        task: "llama-bench".to_owned(),
        case: "tg128".to_owned(),
        repetition: Some(repetition),
        metric: "tokens_per_second".to_owned(),
        value: *speed,
        unit: "1/s".to_owned(),
    });
    Run { name: name.to_owned(), rows: rows.collect(), samples: Vec::new(), manifest }
}

fn case(name: &str, kv: &str) -> Case {
    let parameters = serde_json::json!({"type_k": kv, "type_v": kv, "n_batch": 2048});
    let parameters = serde_json::from_value(parameters).unwrap();
    Case { task: "llama-bench".to_owned(), case: name.to_owned(), parameters }
}

pub(super) fn named(name: &str, runs: Vec<Run>) -> Named {
    Named { name: name.to_owned(), runs }
}

fn of(first: Vec<Run>, second: Vec<Run>) -> Comparison {
    compare(vec![named("a", first), named("b", second)], None).unwrap()
}

fn judgement(comparison: &Comparison) -> Judgement {
    comparison.rows[0].differences[0].as_ref().unwrap().judgement
}

const FAST: [f64; 10] = [50.0, 50.1, 50.2, 49.9, 50.3, 50.15, 49.8, 50.05, 50.25, 49.95];

fn slower(by: f64) -> Vec<f64> {
    FAST.iter().map(|speed| speed * (1.0 - by)).collect()
}

#[test]
fn a_run_that_is_slower_is_worse_by_as_much() {
    let comparison = of(vec![run("1", &FAST)], vec![run("2", &slower(0.05))]);
    let [row] = &comparison.rows[..] else { panic!("{comparison:?}") };
    assert_eq!((row.case.as_str(), row.metric.as_str()), ("tg128", "tokens_per_second"));
    let figures = row.figures[0].as_ref().unwrap();
    assert_eq!((figures.of, figures.values.len()), (Unit::Repetitions, 10));
    assert!((figures.median - 50.075).abs() < 1e-9);
    let difference = row.differences[0].as_ref().unwrap();
    assert!((difference.relative + 0.05).abs() < 0.001, "{difference:?}");
    let (low, high) = difference.interval.unwrap();
    assert!(low < -0.05 && -0.05 < high && high < -0.04, "{difference:?}");
    assert_eq!(difference.judgement, Judgement::Worse);
    assert!(!difference.is_paired);
    assert!(comparison.remarks[0].contains("repetitions"), "{comparison:?}");
    assert_eq!(
        judgement(&of(vec![run("1", &slower(0.05))], vec![run("2", &FAST)])),
        Judgement::Better
    );
    assert_eq!(judgement(&of(vec![run("1", &FAST)], vec![run("2", &FAST)])), Judgement::Same);
}

#[test]
fn a_metric_of_which_less_is_better_is_judged_so() {
    let energy = |name: &str, joules: &[f64]| {
        let mut run = run(name, joules);
        for row in &mut run.rows {
            row.metric = "generation_joules_per_token".to_owned();
        }
        run
    };
    let comparison = of(vec![energy("1", &FAST)], vec![energy("2", &slower(0.05))]);
    assert_eq!(judgement(&comparison), Judgement::Better);
    let unknown = |name: &str, values: &[f64]| {
        let mut run = run(name, values);
        run.rows.iter_mut().for_each(|row| row.metric = "flavour".to_owned());
        run
    };
    let comparison = of(vec![unknown("1", &FAST)], vec![unknown("2", &slower(0.05))]);
    assert_eq!(judgement(&comparison), Judgement::Different);
}

#[test]
fn too_few_values_say_so() {
    let comparison = of(vec![run("1", &FAST[..1])], vec![run("2", &slower(0.2)[..1])]);
    let difference = comparison.rows[0].differences[0].as_ref().unwrap();
    assert_eq!((difference.judgement, difference.p), (Judgement::TooFew, None));
    assert_eq!(difference.interval, None, "one against one does not say how values vary");
    assert_eq!(difference.needed, Some(2));
    assert_eq!(comparison.rows[0].figures[0].as_ref().unwrap().interval, None);
}

/// No difference is found in 19 of 20 comparisons of equals, and 5 % is found in as many at least.
#[test]
fn false_alarms_are_rare_and_five_percent_is_found() {
    const TRIALS: u32 = 2000;
    let mut noise = Noise(20_261_124);
    let mut count = |effect: f64, is: fn(Judgement) -> bool| {
        let found = (0..TRIALS).filter(|_| {
            let (a, b) = (noise.sample::<10>(50.0, 0.01), noise.sample::<10>(50.0 * effect, 0.01));
            is(judgement(&of(vec![run("1", &a)], vec![run("2", &b)])))
        });
        f64::from(u32::try_from(found.count()).unwrap()) / f64::from(TRIALS)
    };
    let alarms = count(1.0, |judgement| judgement != Judgement::Same);
    assert!(alarms <= 0.05, "{alarms}");
    let found = count(0.95, |judgement| judgement == Judgement::Worse);
    assert!(found >= 0.95, "{found}");
}

/// The same in rounds, where the machine drifts by more than the effect.
#[test]
fn rounds_find_what_drift_hides() {
    const TRIALS: u32 = 1000;
    let mut noise = Noise(7);
    let mut count = |effect: f64, is: fn(Judgement) -> bool| {
        let found = (0..TRIALS).filter(|_| {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for round in 0..10 {
                let drift = 50.0 * (1.0 - 0.01 * f64::from(round));
                let [one] = noise.sample::<1>(drift, 0.01);
                let [other] = noise.sample::<1>(drift * effect, 0.01);
                a.push(in_round(run(&format!("a{round}"), &[one]), round));
                b.push(in_round(run(&format!("b{round}"), &[other]), round));
            }
            let comparison = of(a, b);
            assert!(comparison.rows[0].differences[0].as_ref().unwrap().is_paired);
            is(judgement(&comparison))
        });
        f64::from(u32::try_from(found.count()).unwrap()) / f64::from(TRIALS)
    };
    let alarms = count(1.0, |judgement| judgement != Judgement::Same);
    assert!(alarms <= 0.05, "{alarms}");
    let found = count(0.95, |judgement| judgement == Judgement::Worse);
    assert!(found >= 0.95, "{found}");
}

pub(super) fn in_round(mut run: Run, round: u32) -> Run {
    run.manifest.campaign = Some("ab".to_owned());
    run.manifest.tags.insert("round".to_owned(), Some(round.to_string()));
    run
}

#[test]
fn four_runs_a_side_are_compared_by_their_means() {
    let side = |name: &str, by: f64| -> Vec<Run> {
        let speeds = slower(by);
        (0..4).map(|n| run(&format!("{name}{n}"), &speeds[n..n + 3])).collect()
    };
    let comparison = of(side("a", 0.0), side("b", 0.05));
    let figures = comparison.rows[0].figures[0].as_ref().unwrap();
    assert_eq!((figures.of, figures.values.len()), (Unit::Runs, 4));
    assert!((figures.values[0] - 50.1).abs() < 1e-9);
    assert_eq!(judgement(&comparison), Judgement::Worse);
    assert!(comparison.remarks.is_empty(), "{comparison:?}");
}

#[test]
fn what_the_sides_differ_in_is_compared_and_not_kept_apart() {
    let with = |name: &str, kv: &str, model: &str| {
        let mut run = run(name, &FAST);
        run.manifest.cases = vec![case("tg128", kv)];
        run.manifest.models[0].file = format!("/models/{model}.gguf");
        run
    };
    let both =
        |kv: &str| vec![with(&format!("{kv}1"), kv, "Qwen"), with(&format!("{kv}2"), kv, "Gemma")];
    let comparison = of(both("f16"), both("q8_0"));
    assert_eq!(comparison.by, ["kv"]);
    let cells: Vec<_> = comparison.rows.iter().map(|row| row.cell.clone()).collect();
    let model = |name: &str| vec![("model".to_owned(), name.to_owned())];
    assert_eq!(cells, [model("Qwen"), model("Gemma")], "what is the same of all is not said");
    assert_eq!(comparison.means[0].cells, 2);
    assert!(comparison.means[0].relative[0].unwrap().abs() < 1e-9);

    // A model that only one side has stays out, and is named.
    let comparison = of(both("f16"), both("q8_0")[..1].to_vec());
    assert_eq!(comparison.rows.len(), 1);
    assert_eq!(comparison.unpaired, ["Gemma, tg128: only side 1 has it"]);

    // All of them together, apart by a dimension or by a tag.
    let all = [both("f16"), both("q8_0"), both("q4_0")].concat();
    let three = compare(vec![named("all", all.clone())], Some("kv")).unwrap();
    let names: Vec<&str> = three.sides.iter().map(|side| side.name.as_str()).collect();
    assert_eq!(names, ["kv=f16", "kv=q4_0", "kv=q8_0"]);
    assert_eq!(three.rows[0].differences.len(), 2);
    let mut tagged = all;
    for (run, value) in tagged.iter_mut().zip(["x", "y"].into_iter().cycle()) {
        run.manifest.tags.insert("box".to_owned(), Some(value.to_owned()));
    }
    let by_tag = compare(vec![named("all", tagged)], Some("box")).unwrap();
    assert_eq!(by_tag.sides[1].name, "box=y");
}

#[test]
fn what_cannot_be_compared_is_said_in_a_line() {
    let wrong = |named: Vec<Named>, by: Option<&str>, text: &str| {
        let error = compare(named, by).unwrap_err();
        assert!(error.contains(text) && !error.contains('\n'), "{error}");
    };
    let one = || run("1", &FAST);
    wrong(vec![named("a", vec![one()])], None, "one side alone");
    wrong(vec![named("a", vec![one()]), named("b", vec![])], None, "b: has no run");
    wrong(vec![named("a", vec![one()])], Some("planet"), "--by planet");
    let mut failed = run("2", &FAST);
    failed.manifest.state = State::Failed;
    wrong(vec![named("a", vec![one()]), named("b", vec![failed.clone()])], None, "completed");
    let comparison = of(vec![one()], vec![failed, run("3", &FAST)]);
    assert!(comparison.remarks[0].contains("2 is left out: its state is failed"));
}

/// Why a comparison of a clean run and one to which this was done claims nothing.
#[track_caller]
fn is_doubted(change: impl Fn(&mut Manifest), doubt: &str) {
    let mut other = run("2", &slower(0.05));
    change(&mut other.manifest);
    let comparison = of(vec![run("1", &FAST)], vec![other]);
    assert!(comparison.doubts.iter().any(|text| text.contains(doubt)), "{:?}", comparison.doubts);
    assert_eq!(judgement(&comparison), Judgement::NotComparable);
    let outcome = gated(&comparison, "tokens_per_second < -3%");
    assert_eq!(outcome, Outcome::Inconclusive, "no regression may be claimed");
}

fn flagged(reason: &str, figures: &[(&str, f64)]) -> Verdict {
    let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let flag = Flag { reason: reason.to_owned(), evidence: String::new(), figures };
    Verdict { label: "flagged".to_owned(), reasons: vec![flag], missing: Vec::new() }
}

#[test]
fn no_regression_is_claimed_of_runs_that_are_no_good() {
    is_doubted(|m| m.verdict = Some(flagged("thermally-throttled", &[])), "thermally-throttled: 2");
    is_doubted(|m| m.verdict = Some(flagged("power-capped", &[("spl", 0.9)])), "power-capped: 2");
    is_doubted(|m| m.verdict = None, "nobody judged it: 2");
    is_doubted(
        |m| {
            let missing = vec!["no temperature".to_owned()];
            let label = "unknown".to_owned();
            m.verdict = Some(Verdict { label, reasons: Vec::new(), missing });
        },
        "verdict unknown (no temperature): 2",
    );
    is_doubted(|m| "1".clone_into(&mut m.id), "2 stands on several sides");
    is_doubted(
        |m| m.models[0].bytes = Some(2000),
        "the files of qwen3 differ: 1000 and 2000 bytes",
    );
    let mut one = run("1", &FAST);
    let mut other = run("2", &slower(0.05));
    for (run, cpu) in [(&mut one, "AI MAX+ 395"), (&mut other, "AI MAX 385")] {
        run.manifest.environment_at_start.facts.insert("host.cpu".to_owned(), cpu.to_owned());
    }
    let comparison = of(vec![one], vec![other]);
    assert!(comparison.doubts[0].contains("several machines"), "{:?}", comparison.doubts);
    assert_eq!(comparison.changes[0].name, "host.cpu");
}

#[test]
fn machines_that_are_capped_alike_can_be_compared() {
    let capped = |name: &str, speeds: &[f64], share: f64, limit: f64| {
        let mut run = run(name, speeds);
        let figures = [("spl", share), ("limit_watts.stapm", limit)];
        run.manifest.verdict = Some(flagged("power-capped", &figures));
        run
    };
    let against = |other: Run| of(vec![capped("1", &FAST, 0.9, 85.0)], vec![other]);
    let alike = against(capped("2", &slower(0.05), 0.8, 85.2));
    assert!(alike.doubts.is_empty(), "{:?}", alike.doubts);
    assert_eq!(judgement(&alike), Judgement::Worse);
    assert_eq!(alike.sides[0].runs[0].reasons, ["power-capped"], "the flag stays");
    let other_limit = against(capped("2", &slower(0.05), 0.8, 120.0));
    assert_eq!(judgement(&other_limit), Judgement::NotComparable);
    let uncapped = against(run("2", &slower(0.05)));
    assert_eq!(judgement(&uncapped), Judgement::NotComparable);
}

#[test]
fn what_differs_between_machines_and_commands_is_listed() {
    let with = |name: &str, thp: &str, swap: f64, version: &str| {
        let mut run = run(name, &FAST);
        let environment = &mut run.manifest.environment_at_start;
        environment.facts.insert("host.kernel".to_owned(), "7.0.9".to_owned());
        environment.facts.insert("tuning.transparent_hugepage.enabled".to_owned(), thp.to_owned());
        environment.values.insert("halo_swap_used_bytes".to_owned(), swap);
        run.manifest.tool.version = Some(version.to_owned());
        run
    };
    let comparison =
        of(vec![with("1", "always", 1.0, "b1")], vec![with("2", "madvise", 2.0, "b2")]);
    let changes: Vec<(&str, Vec<String>)> = comparison
        .changes
        .iter()
        .map(|change| (change.name.as_str(), change.values.concat()))
        .collect();
    let pair = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
    assert_eq!(
        changes,
        [
            ("tool.version", pair("b1", "b2")),
            ("tuning.transparent_hugepage.enabled", pair("always", "madvise")),
        ]
    );
}

pub(super) fn gated(comparison: &Comparison, condition: &str) -> Outcome {
    let condition: Condition = condition.parse().unwrap();
    let findings: Vec<Finding> = check(&condition, comparison);
    findings.iter().map(|finding| finding.outcome).max().unwrap()
}

#[test]
fn a_gate_fails_on_a_regression_and_on_nothing_else() {
    let by = |share: f64| of(vec![run("1", &FAST)], vec![run("2", &slower(share))]);
    let condition = "tokens_per_second < -3%";
    assert_eq!(gated(&by(0.05), condition), Outcome::Regression);
    assert_eq!(gated(&by(0.01), condition), Outcome::Fine);
    assert_eq!(gated(&by(0.0), condition), Outcome::Fine);
    assert_eq!(gated(&by(-0.5), condition), Outcome::Fine);
    assert_eq!(gated(&by(0.0299), condition), Outcome::Inconclusive, "the interval has both");
    assert_eq!(gated(&by(-0.05), "tokens_per_second > 3%"), Outcome::Regression);
    assert_eq!(gated(&by(0.05), "score < -3%"), Outcome::Inconclusive, "nobody measured it");
    let few = of(vec![run("1", &FAST[..1])], vec![run("2", &slower(0.3)[..1])]);
    assert_eq!(gated(&few, condition), Outcome::Inconclusive);
    let findings = check(&condition.parse().unwrap(), &few);
    assert!(findings[0].why.ends_with("; n too small: 2 needed"), "{findings:?}");
    let findings = check(&condition.parse().unwrap(), &by(0.05));
    assert!(findings[0].why.starts_with("tg128, tokens_per_second: -5.00 % (-5."), "{findings:?}");
}

#[test]
fn conditions_are_read_or_refused() {
    let condition: Condition = "joules_per_token>+5 %".parse().unwrap();
    assert_eq!(condition.to_string(), "joules_per_token > 5%");
    assert!(!condition.fails_below);
    for wrong in
        ["", "tokens_per_second", "< -3%", "a = 3%", "a < 3", "a < x%", "a < inf%", "a b < 1%"]
    {
        let error = wrong.parse::<Condition>().unwrap_err();
        assert!(error.contains("'tokens_per_second < -3%'"), "{wrong}: {error}");
    }
}

#[test]
fn the_command_and_its_energy_are_compared_too() {
    let with = |name: &str, seconds: i64, joules: f64| {
        let mut run = run(name, &FAST);
        let started = jiff::Timestamp::UNIX_EPOCH;
        run.manifest.command.started = Some(started);
        let ended = started.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        run.manifest.command.ended = Some(ended);
        run.manifest.energy = vec![
            serde_json::from_value(serde_json::json!({
                "work": "command", "source": "socket", "seconds": 1.0, "coverage": 1.0,
                "joules": joules, "mean_watts": 80.0
            }))
            .unwrap(),
        ];
        run
    };
    let comparison = of(vec![with("1", 10, 800.0)], vec![with("2", 20, 1600.0)]);
    let of_metric = |metric: &str| {
        let row = comparison.rows.iter().find(|row| row.metric == metric).unwrap();
        (row.case.as_str(), row.differences[0].as_ref().unwrap().relative)
    };
    for (metric, relative) in [("duration", 1.0), ("joules", 1.0), ("mean_watts", 0.0)] {
        let (case, found) = of_metric(metric);
        assert_eq!(case, "command");
        assert!((found - relative).abs() < 1e-9, "{metric}: {found}");
    }
}
