//! The text format 0.0.4 of Prometheus.
//!
//! The only place that knows the crate `prometheus`, which serves as encoder: halo has no
//! instruments that live between two scrapes, so it needs no registry
//! (docs/decisions/0003-exposition.md).

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::metric::{Kind, Sample};
use crate::sample::Snapshot;

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The exposition of a snapshot: families by name, samples in the order of their source.
pub fn render(snapshot: &Snapshot) -> Result<String, prometheus::Error> {
    let health = snapshot.health();
    let mut samples: Vec<&Sample> = snapshot.values().chain(health.values()).collect();
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
    family.set_metric(samples.iter().map(|sample| metric(sample)).collect());
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
