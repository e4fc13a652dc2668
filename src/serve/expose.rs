//! The text format 0.0.4 of Prometheus.
//!
//! The only place that knows the crate `prometheus`, which serves as encoder: halo has no
//! instruments that live between two scrapes, so it needs no registry
//! (docs/decisions/0003-exposition.md).

use std::collections::HashSet;

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::metric::{Kind, Sample};
use crate::sample::Snapshot;

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The exposition of a snapshot: families by name, samples in the order of their source.
pub fn render(snapshot: &Snapshot) -> Result<String, prometheus::Error> {
    let health = snapshot.health();
    encode(snapshot.values().chain(health.values()).collect())
}

fn encode(mut samples: Vec<&Sample>) -> Result<String, prometheus::Error> {
    samples.sort_by_key(|sample| sample.def.name);
    let families: Vec<MetricFamily> =
        samples.chunk_by(|a, b| a.def.name == b.def.name).map(family).collect();
    // Two hundred bytes a sample with its share of the headers.
    let mut text = String::with_capacity(samples.len() * 200);
    TextEncoder::new().encode_utf8(&families, &mut text)?;
    Ok(text)
}

fn family(samples: &[&Sample]) -> MetricFamily {
    let def = samples[0].def;
    let mut family = MetricFamily::default();
    family.set_name(def.name.to_owned());
    family.set_help(def.help.to_owned());
    family.set_field_type(match def.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
    });
    // A second value of a series would make Prometheus refuse all.
    let mut known = HashSet::new();
    let samples = samples.iter().filter(|sample| known.insert(&sample.labels));
    family.set_metric(samples.map(|sample| metric(sample)).collect());
    family
}

fn metric(sample: &Sample) -> Metric {
    let labels = sample.def.labels.iter().zip(&sample.labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_string());
        pair
    });
    let mut metric = Metric::from_label(labels.collect());
    match sample.def.kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(sample.value);
            metric.set_counter(counter);
        }
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(sample.value);
            metric.set_gauge(gauge);
        }
    }
    metric
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Sample, encode};
    use crate::metric::{Def, Kind, Metric, Table, Unit};
    use crate::visible;

    static NAMED: Metric<2> = Metric::new(Def {
        name: "halo_test_info",
        help: "A test.",
        kind: Kind::Gauge,
        unit: Unit::Info,
        labels: &["one", "other"],
        table: Table::None,
        from: "a test",
    });

    /// The series of a text, as the format says: each line is one, and what is in quotes knows three
    /// sequences.
    fn parse(text: &str) -> BTreeMap<[String; 2], f64> {
        let lines = text.split_terminator('\n').filter(|line| !line.starts_with("# "));
        let series = lines.map(|line| {
            let mut rest = line.strip_prefix("halo_test_info{one=\"").unwrap();
            let (one, behind) = quoted(rest);
            rest = behind.strip_prefix(",other=\"").unwrap();
            let (other, behind) = quoted(rest);
            ([one, other], behind.strip_prefix("} ").unwrap().parse().unwrap())
        });
        let count = series.clone().count();
        let all: BTreeMap<_, _> = series.collect();
        assert_eq!(all.len(), count, "a series comes twice: {text}");
        all
    }

    fn quoted(text: &str) -> (String, &str) {
        let (mut value, mut characters) = (String::new(), text.char_indices());
        loop {
            match characters.next().unwrap() {
                (at, '"') => return (value, &text[at + 1..]),
                (_, '\\') => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    other => panic!("\\{other}"),
                }),
                (_, other) => value.push(other),
            }
        }
    }

    proptest! {
        #[test]
        fn labels_may_be_any_text(
            labels in prop::collection::vec(
                (prop_oneof![any::<String>(), "[\"\\\\\n\r\u{1b}\u{85}\u{2028}{}, =a]{0,9}"], any::<String>()),
                1..5,
            ),
            number in -1e9..1e9_f64,
        ) {
            let samples: Vec<Sample> =
                labels.iter().map(|(one, other)| NAMED.at([one, other], number)).collect();
            let text = encode(samples.iter().collect()).unwrap();
            let expected: BTreeMap<[String; 2], f64> = labels
                .iter()
                .map(|(one, other)| ([one, other].map(|text| visible::line(text).into_owned()), number))
                .collect();
            prop_assert_eq!(parse(&text), expected);
        }
    }

    #[test]
    fn no_label_is_longer_than_its_bound() {
        let long = "ä".repeat(100_000);
        let sample = NAMED.at([&long, "\u{1b}[31m"], 1.0);
        let labels = sample.labels.iter().map(AsRef::as_ref).collect::<Vec<&str>>();
        assert!(labels[0].len() <= 1024 && labels[0].ends_with("ä…"), "{}", labels[0].len());
        assert_eq!(labels[1], "\\u{1b}[31m");
    }
}
