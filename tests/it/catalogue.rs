//! The declarations of all metrics: their form, their users, and the documents made from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use halo::metric::{Def, Kind, Table, Unit};
use halo::root::Root;
use halo::sample;
use halo::source::tuning::checks::CHECKS;
use halo::source::{Cadence, SOURCES, runs};

use crate::machine::{self, directories, ensure_contents};

/// Every family with the sources that feed it.
pub(crate) fn families() -> BTreeMap<&'static str, (&'static Def, Vec<&'static str>)> {
    let of_sources =
        SOURCES.iter().flat_map(|source| source.metrics.iter().map(|def| (*def, source.name)));
    let of_halo = sample::METRICS.iter().map(|def| (*def, "always"));
    let of_exports = runs::EXPORTED.iter().map(|def| (*def, "exports alone"));
    let mut families: BTreeMap<_, (&Def, Vec<_>)> = BTreeMap::new();
    for (def, source) in of_sources.chain(of_halo).chain(of_exports) {
        let (known, sources) = families.entry(def.name).or_insert((def, Vec::new()));
        assert!(std::ptr::eq(*known, def), "{} is declared twice", def.name);
        sources.push(source);
    }
    families
}

/// The rules of <https://prometheus.io/docs/practices/naming/>, and halo's own.
#[test]
fn names_follow_the_rules() {
    for (name, (def, _)) in families() {
        let is_conventional = name.starts_with("process_");
        assert!(name.starts_with("halo_") || is_conventional, "{name}: prefix");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()));
        assert_eq!(name.ends_with("_total"), def.kind == Kind::Counter, "{name}: _total");
        let stem = name.strip_suffix("_total").unwrap_or(name);
        if let Some(suffix) = def.unit.suffix() {
            assert!(stem.ends_with(suffix), "{name}: unit {:?}", def.unit);
        }
        for unit in [Unit::Bytes, Unit::Celsius, Unit::Hertz, Unit::Ratio, Unit::Seconds] {
            let suffix = unit.suffix().unwrap();
            assert!(!stem.ends_with(suffix) || def.unit == unit, "{name}: not {:?}", def.unit);
        }
        let first = def.help.chars().next().unwrap();
        assert!(first.is_uppercase() && def.help.ends_with('.'), "{name}: help is a sentence");
        assert!(!def.help.contains('\n') && !def.from.is_empty(), "{name}: help and from");
        let labels: BTreeSet<&str> = def.labels.iter().copied().collect();
        assert_eq!(labels.len(), def.labels.len(), "{name}: labels differ");
        for label in labels {
            let reserved = ["job", "instance", "le", "quantile", "exported_job"];
            assert!(!reserved.contains(&label) && !label.starts_with("__"), "{name}: {label}");
        }
    }
}

/// A table of the archive has one set of key columns.
#[test]
fn families_of_one_table_have_the_same_labels() {
    let mut labels: BTreeMap<Table, (&str, &[&str])> = BTreeMap::new();
    for (name, (def, _)) in families() {
        if def.table != Table::None {
            let (first, known) = labels.entry(def.table).or_insert((name, def.labels));
            assert_eq!(*known, def.labels, "{name} and {first} share {:?}", def.table);
        }
    }
}

/// What a source gives is what it declares, and every declaration is seen on some machine.
#[test]
fn sources_give_what_they_declare() {
    let mut seen = BTreeSet::new();
    for host in directories("hosts") {
        for (name, reading) in machine::read(&Root::at(&host)) {
            let source = SOURCES.iter().find(|source| source.name == name).unwrap();
            for sample in reading.samples.values() {
                assert!(
                    source.metrics.iter().any(|def| std::ptr::eq(*def, sample.def)),
                    "{name} gives {sample}, which it does not declare"
                );
                seen.insert(sample.def.name);
            }
        }
    }
    let exposition = machine::self_exposition();
    for (name, _) in families() {
        // Only while something fails, and only with a configuration that tests/it/power.rs has.
        let is_elsewhere = [
            "halo_source_failure",
            "halo_power_limit_requested_watts",
            "halo_power_reading_age_seconds",
            // tests/it/archive/openmetrics.rs exports a run.
            "halo_run_tokens_per_second",
        ];
        let is_seen = seen.contains(name)
            || exposition.contains(&format!("# TYPE {name} "))
            || is_elsewhere.contains(&name)
            // tests/it/llama/answers.rs has servers.
            || name.starts_with("halo_llama_");
        assert!(is_seen, "{name} is declared and no fixture shows it");
    }
}

#[test]
fn sources_have_names_that_fit_flags_and_files() {
    let mut names = BTreeSet::new();
    for source in SOURCES {
        assert!(names.insert(source.name), "{} twice", source.name);
        assert!(source.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(source.remedy.ends_with('.') && !source.about.ends_with('.'), "{}", source.name);
    }
    assert!(SOURCES.is_sorted_by_key(|source| source.name));
}

#[test]
fn generated_documents_are_fresh() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    ensure_contents([
        (docs.join("metrics.md"), metrics_document()),
        (docs.join("tuning.md"), tuning_document()),
        (docs.join("cli.md"), cli_document()),
    ]);
}

fn metrics_document() -> String {
    let mut text = String::from(
        "# Metrics

Generated from the declarations in `src/` by `tests/it/catalogue.rs`; do not edit.

What is unknown is absent, never 0.
`gpu` is the PCI address of the card; `device` is that address where the reading came from the GPU's or the NPU's driver, and `package` where it came from the processor.
The tables of `gpu_metrics` that halo knows are v2.0, v2.1, v2.2, v2.3, v2.4 (APUs up to Phoenix) and v3.0 (Strix Point, Krackan, Strix Halo); those of discrete cards (v1) are recognised and not decoded.

## Sources

| source | measures | read | where it is absent |
|---|---|---|---|
",
    );
    for source in SOURCES {
        let cadence = match source.cadence {
            Cadence::OnDemand => "for every scrape".to_owned(),
            Cadence::Hold(duration) | Cadence::Apart(duration) => {
                format!("at most every {} s", duration.as_secs())
            }
        };
        writeln!(text, "| `{}` | {} | {cadence} | {} |", source.name, source.about, source.remedy)
            .unwrap();
    }
    text.push_str("\n## Families\n");
    for (name, (def, sources)) in families() {
        let kind = if def.kind == Kind::Counter { "counter" } else { "gauge" };
        let labels: Vec<String> = def.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        write!(
            text,
            "\n### `{name}`\n\n{}\n\n- type: {kind}\n- labels: {labels}\n- source: {}\n- from: {}\n",
            def.help,
            sources.join(", "),
            def.from
        )
        .unwrap();
    }
    text + &recorded_section()
}

/// The names that Prometheus computes with the shipped rules.
fn recorded_section() -> String {
    let path = "configs/prometheus/rules/recording.yml";
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let rules = std::fs::read_to_string(rules).unwrap();
    let names: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    assert!(!names.is_empty());
    let list: Vec<String> = names.iter().map(|name| format!("- `{name}`\n")).collect();
    format!(
        "\n## Recording rules\n\nComputed by Prometheus with `{path}`, which says what each means; `docs/alerts.md` says how they are used.\n\n{}",
        list.concat()
    )
}

fn tuning_document() -> String {
    let mut text = String::from(
        "# Tuning checks

Generated from `src/source/tuning/checks.rs` by `tests/it/catalogue.rs`; do not edit.

`halo_tuning_check{check,group}` is 1 where a setting is what it should be, 0 where it is not, and absent where it cannot be told.
The targets are what owners of such machines measured; none of them was measured by halo's authors.
Not checked, because no file tells it: the version of linux-firmware (20251125 breaks ROCm on this chip).
",
    );
    for group in ["core", "power", "runtime"] {
        write!(
            text,
            "\n## {group}\n\n| check | looks at | should be | why | set with |\n|---|---|---|---|---|\n"
        )
        .unwrap();
        for check in CHECKS.iter().filter(|check| check.group.as_str() == group) {
            writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                check.name, check.what, check.should_be, check.why, check.set_with
            )
            .unwrap();
        }
    }
    text
}

fn cli_document() -> String {
    let exporter = halo::cli::command().term_width(100).render_long_help();
    let mut text = format!(
        "# Command lines

Generated from `src/cli.rs` and `src/cli/record.rs` by `tests/it/catalogue.rs`; do not edit.

## halo-exporter

A setting is taken from the first of these that has it: a flag, a variable `HALO_*`, the file that `--config.file` names, the default.
Exit codes: 0 fine, 1 a failure while running (and `--doctor` that found something), 2 a flag, key, file or address that cannot be used.

```text
{exporter}
```

## halo-record

Exit codes of `benchmark` and `run`: the command's own, or the signal that ended it; 1 where the command said 0 and its own output says that it failed; 2 for what is refused before anything runs; 125 where halo itself failed.
Exit codes of the others: 0 fine, 1 a failure, 2 a flag that cannot be used.

```text
{}
```
",
        help_of(&halo::cli::record::command())
    );
    for subcommand in halo::cli::record::command().get_subcommands() {
        let name = subcommand.get_name();
        let subcommand = subcommand.clone().bin_name(format!("halo-record {name}"));
        write!(text, "\n### halo-record {name}\n\n```text\n{}\n```\n", help_of(&subcommand))
            .unwrap();
    }
    text
}

/// What `--help` prints, without white space at the ends of lines.
fn help_of(command: &clap::Command) -> String {
    let help = command.clone().term_width(100).render_long_help().to_string();
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
