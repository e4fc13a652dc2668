//! Any journal gives the same lines and tables again, and a torn one a part of them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt64Type};
use halo::archive::journal::Reader;
use halo::archive::read::Table;
use halo::metric::Def;
use halo::run::journal::{By, Header, Line, Mark, Moment, NewSeries, Tick, VERSION};
use halo::tool::Row;
use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
use proptest::prelude::*;
use proptest::sample::Index;

use super::Tables;
use crate::record::archive_values;

/// Values by time, family and labels.
type Values = BTreeMap<(i64, String, Vec<String>), u64>;

/// What happens in an arbitrary run.
#[derive(Debug, Clone)]
enum Step {
    Series(Vec<(Index, Vec<String>)>),
    Tick { after: i64, cost: u64, skipped: u64, values: Vec<(Index, f64)>, failing: Vec<String> },
    Mark { by: By, name: String, attributes: BTreeMap<String, String> },
}

fn step() -> impl Strategy<Value = Step> {
    let labels = prop::collection::vec(any::<String>(), 4);
    let series = prop::collection::vec((any::<Index>(), labels), 0..6);
    let value = NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE;
    let values = prop::collection::vec((any::<Index>(), value), 0..12);
    let failing = prop::collection::vec("[a-z]{1,8}:[a-z]{1,8}", 0..3);
    let by = prop_oneof![Just(By::Halo), Just(By::Tool), Just(By::User)];
    let attributes = prop::collection::btree_map(any::<String>(), any::<String>(), 0..3);
    prop_oneof![
        series.prop_map(Step::Series),
        (1..i64::from(u32::MAX), any::<u32>(), any::<u16>(), values, failing).prop_map(
            |(after, cost, skipped, values, failing)| {
                let (cost, skipped) = (cost.into(), skipped.into());
                Step::Tick { after, cost, skipped, values, failing }
            }
        ),
        (by, any::<String>(), attributes).prop_map(|(by, name, attributes)| Step::Mark {
            by,
            name,
            attributes
        }),
    ]
}

/// Every family that is sampled.
fn families() -> Vec<&'static Def> {
    let tables = halo::archive::schema::wide_tables();
    tables.values().flat_map(|wide| wide.families.iter().copied()).collect()
}

/// A journal of these steps, as the recorder writes them, and the values in it.
fn journal(start: i64, steps: &[Step]) -> (Vec<Line>, Values) {
    let families = families();
    let mut at = Moment { monotonic: 7, unix: start };
    let mut lines = vec![Line::Header(Header {
        version: VERSION,
        run: "01a20be6-bbb0-77ba-92d3-52c618ba4f27".to_owned(),
        interval: 250_000_000,
        sources: vec!["amdgpu".to_owned()],
        at,
    })];
    let mut series: Vec<(String, Vec<String>)> = Vec::new();
    let mut values = Values::new();
    for step in steps {
        match step {
            Step::Series(wanted) => {
                let first = u32::try_from(series.len()).unwrap();
                for (family, labels) in wanted {
                    let family = family.get(&families);
                    let labels = labels[..family.labels.len()].to_vec();
                    let new = (family.name.to_owned(), labels);
                    if !series.contains(&new) {
                        series.push(new);
                    }
                }
                let new = series[first as usize..].to_vec();
                lines.push(Line::Series(NewSeries { first, series: new }));
            }
            Step::Tick { after, cost, skipped, values: wanted, failing } => {
                at = Moment { monotonic: at.monotonic + after, unix: at.unix + after };
                let mut tick = Tick {
                    at,
                    late: cost / 3,
                    cost: *cost,
                    skipped: *skipped,
                    failing: failing.clone(),
                    ..Tick::default()
                };
                let mut taken = BTreeSet::new();
                for (which, value) in wanted.iter().filter(|_| !series.is_empty()) {
                    let number = which.index(series.len());
                    if taken.insert(number) {
                        tick.series.push(u32::try_from(number).unwrap());
                        tick.values.push(*value);
                        let (family, labels) = series[number].clone();
                        values.insert((at.unix, family, labels), value.to_bits());
                    }
                }
                lines.push(Line::Tick(tick));
            }
            Step::Mark { by, name, attributes } => {
                let (name, attributes) = (name.clone(), attributes.clone());
                lines.push(Line::Mark(Mark { at, by: *by, name, attributes }));
            }
        }
    }
    (lines, values)
}

fn bytes(lines: &[Line]) -> Vec<u8> {
    let line = |line| [serde_json::to_vec(line).unwrap(), vec![b'\n']].concat();
    lines.iter().flat_map(line).collect()
}

/// The lines that a reader believes, and where it stops to.
fn read(bytes: &[u8]) -> (Vec<Line>, Option<String>) {
    let mut reader = Reader::new(bytes);
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        lines.push(line);
    }
    (lines, reader.damage().map(str::to_owned))
}

fn is_same_bit_for_bit(left: &[Line], right: &[Line]) -> bool {
    // As text, because -0 and 0 are equal as numbers.
    bytes(left) == bytes(right)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_journal_is_read_as_it_was_written(steps in prop::collection::vec(step(), 0..40)) {
        let (lines, _) = journal(1_764_000_000_000_000_000, &steps);
        let (found, damage) = read(&bytes(&lines));
        prop_assert!(is_same_bit_for_bit(&found, &lines));
        prop_assert_eq!(damage, None);
    }

    #[test]
    fn nothing_behind_garbage_is_believed(
        steps in prop::collection::vec(step(), 0..20),
        place: Index,
        garbage in prop_oneof![
            Just(b"{\"tick\":{}}".to_vec()),
            Just(b"null".to_vec()),
            Just(b"{\"header\":1}".to_vec()),
            Just(Vec::new()),
            prop::collection::vec(any::<u8>().prop_filter("one line", |b| *b != b'\n'), 0..40),
        ],
    ) {
        let (lines, _) = journal(1_764_000_000_000_000_000, &steps);
        let place = place.index(lines.len() + 1);
        let torn = [&bytes(&lines[..place]), &garbage[..], b"\n", &bytes(&lines[place..])].concat();
        let (found, damage) = read(&torn);
        prop_assert!(is_same_bit_for_bit(&found, &lines[..place]));
        let damage = damage.unwrap();
        prop_assert!(damage.starts_with(&format!("line {}: ", place + 1)), "{}", damage);
    }

    #[test]
    fn tables_hold_what_the_journal_holds(
        start in 0..i64::MAX / 2,
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let (lines, expected) = journal(start, &steps);
        let tables = Tables::of(&lines, &[]);
        let found: Values = archive_values(tables.path())
            .into_iter()
            .map(|(key, value)| (key, value.to_bits()))
            .collect();
        prop_assert_eq!(found, expected);
        prop_assert!(tables.converted.unknown.is_empty() && tables.converted.damage.is_none());

        let (mut ticks, mut marks) = (Vec::new(), Vec::new());
        for line in &lines {
            match line {
                Line::Tick(tick) => ticks.push(tick.clone()),
                Line::Mark(mark) => marks.push(mark.clone()),
                _ => {}
            }
        }
        prop_assert_eq!(sampling(&tables, start), ticks.iter().map(unvalued).collect::<Vec<_>>());
        prop_assert_eq!(read_marks(&tables, start), marks);
        let identity = [
            ("halo.run", "01a20be6-bbb0-77ba-92d3-52c618ba4f27"),
            ("halo.name", "20261124T035512.123Z-test"),
            ("halo.schema_version", "1"),
        ];
        for name in halo::archive::read::names(&tables.run).unwrap() {
            let table = Table::open(&tables.run, &name).unwrap();
            let about = table.schema().metadata();
            for (key, value) in identity {
                prop_assert_eq!(about.get(key).map(String::as_str), Some(value), "{}", name);
            }
            let began: jiff::Timestamp = about["halo.started"].parse().unwrap();
            prop_assert_eq!(began.as_nanosecond(), i128::from(start));
        }
    }
}

proptest! {
    // Each case is read as often as it has bytes.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    /// A kill leaves a part of the last line, a loss of power zeros where it was to stand.
    #[test]
    fn a_torn_journal_gives_what_is_whole(
        steps in prop::collection::vec(step(), 1..8),
        zeros in 1..200_usize,
    ) {
        let (lines, _) = journal(1_764_000_000_000_000_000, &steps);
        let whole = bytes(&lines);
        for cut in 0..=whole.len() {
            let complete = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
            let (found, damage) = read(&whole[..cut]);
            // Where only the end of a line is lost, the line itself is whole.
            let expected = complete + usize::from(whole.get(cut) == Some(&b'\n'));
            prop_assert!(is_same_bit_for_bit(&found, &lines[..expected]), "cut at {cut}");
            let is_torn = cut > 0 && whole[cut - 1] != b'\n' && expected == complete;
            prop_assert_eq!(damage.is_some(), is_torn, "cut at {}", cut);

            let (found, damage) = read(&[&whole[..cut], &vec![0; zeros]].concat());
            prop_assert!(is_same_bit_for_bit(&found, &lines[..complete]), "zeros from {cut}");
            prop_assert!(damage.is_some());
        }
    }
}

/// A tick without its values.
fn unvalued(tick: &Tick) -> Tick {
    Tick { series: Vec::new(), values: Vec::new(), ..tick.clone() }
}

/// The moments of a table's rows, on the clocks of the journal.
fn moments(batch: &arrow::array::RecordBatch, start: i64) -> Vec<Moment> {
    let times = batch["time"].as_primitive::<TimestampNanosecondType>().values();
    let monotonic = batch["monotonic_ns"].as_primitive::<Int64Type>().values();
    let moment = |(unix, since): (&i64, &i64)| {
        assert_eq!(unix - start, *since, "both clocks of the test go alike");
        Moment { monotonic: since + 7, unix: *unix }
    };
    times.iter().zip(monotonic).map(moment).collect()
}

fn sampling(tables: &Tables, start: i64) -> Vec<Tick> {
    let mut ticks = Vec::new();
    for batch in Table::open(&tables.run, "sampling").unwrap().rows().unwrap() {
        let batch = batch.unwrap();
        let number = |name: &str, row| batch[name].as_primitive::<UInt64Type>().value(row);
        for (row, at) in moments(&batch, start).into_iter().enumerate() {
            let failing = batch["failing"].as_string::<i32>().iter().nth(row).unwrap();
            ticks.push(Tick {
                at,
                late: number("lateness_ns", row),
                cost: number("cost_ns", row),
                skipped: number("skipped", row),
                failing: failing.unwrap_or("").split_whitespace().map(str::to_owned).collect(),
                ..Tick::default()
            });
        }
    }
    ticks
}

fn read_marks(tables: &Tables, start: i64) -> Vec<Mark> {
    let mut marks = Vec::new();
    for batch in Table::open(&tables.run, "marks").unwrap().rows().unwrap() {
        let batch = batch.unwrap();
        let text = |name: &str, row| batch[name].as_string::<i32>().value(row).to_owned();
        for (row, at) in moments(&batch, start).into_iter().enumerate() {
            marks.push(Mark {
                at,
                by: serde_json::from_value(text("by", row).into()).unwrap(),
                name: text("name", row),
                attributes: serde_json::from_str(&text("attributes", row)).unwrap(),
            });
        }
    }
    marks
}

#[test]
fn results_are_read_as_they_were_written() {
    let row = |repetition, value| Row {
        task: "llama-bench".to_owned(),
        case: "pp512 \"ü\"".to_owned(),
        repetition,
        metric: "tokens_per_second".to_owned(),
        value,
        unit: "1/s".to_owned(),
    };
    let rows = [row(Some(0), 39.5), row(Some(u32::MAX), -0.0), row(None, f64::MIN_POSITIVE / 8.0)];
    let (lines, _) = journal(0, &[]);
    let tables = Tables::of(&lines, &rows);
    let table = Table::open(&tables.run, "results").unwrap();
    let batch = table.rows().unwrap().next().unwrap().unwrap();
    let text = |name: &str, row| batch[name].as_string::<i32>().value(row).to_owned();
    let numbers = batch["repetition"].as_primitive::<arrow::datatypes::UInt32Type>();
    let values = batch["value"].as_primitive::<arrow::datatypes::Float64Type>();
    assert_eq!(batch.num_rows(), rows.len());
    for (place, row) in rows.iter().enumerate() {
        assert_eq!(text("task", place), row.task);
        assert_eq!(text("case", place), row.case);
        assert_eq!(text("metric", place), row.metric);
        assert_eq!(text("unit", place), row.unit);
        assert_eq!(numbers.iter().nth(place).unwrap(), row.repetition);
        assert_eq!(values.value(place).to_bits(), row.value.to_bits());
    }
}
