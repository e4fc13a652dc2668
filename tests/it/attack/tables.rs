//! Parquet files that lie.

use std::fs;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::Int64Type;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::files::fifo;
use super::{Case, Place, run};

type Columns = Vec<(&'static str, ArrayRef)>;

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()))
}

/// Writes the same rows several times into a table of the run.
fn write(place: &Place, table: &str, columns: Columns, times: usize, how: WriterProperties) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(how)).unwrap();
    for _ in 0..times {
        writer.write(&batch).unwrap();
    }
    writer.close().unwrap();
    place.put(table, bytes);
}

fn texts(count: usize, text: &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)))
}

fn times(times: Vec<i64>) -> Columns {
    let monotonic: ArrayRef = Arc::new(Int64Array::from(times.clone()));
    let time = TimestampNanosecondArray::from(times).with_timezone("UTC");
    vec![("time", Arc::new(time)), ("monotonic_ns", monotonic)]
}

fn results(count: usize, text: &str, value: f64) -> Columns {
    let repetition: ArrayRef = Arc::new(arrow::array::UInt32Array::from(vec![Some(0); count]));
    vec![
        ("task", texts(count, text)),
        ("case", texts(count, "x")),
        ("repetition", repetition),
        ("metric", texts(count, "tokens_per_second")),
        ("value", Arc::new(Float64Array::from(vec![value; count]))),
        ("unit", texts(count, "1/s")),
    ]
}

fn marks(at: Vec<i64>, attributes: &str) -> Columns {
    let count = at.len();
    let mut columns = times(at);
    columns.push(("by", texts(count, "halo")));
    columns.push(("name", texts(count, "command started")));
    columns.push(("attributes", texts(count, attributes)));
    columns
}

/// Changes some bytes of each table, always the same.
fn damage(place: &Place, seed: u64) {
    let mut state = seed;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for table in ["marks", "results", "sampling", "power", "gpu_clock", "temperature", "host"] {
        let name = format!("{table}.parquet");
        let mut bytes = fs::read(place.run(&name)).unwrap();
        for _ in 0..=next(8) {
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(256)).unwrap();
        }
        place.put(&name, bytes);
    }
}

/// A file whose footer is this.
fn with_footer(place: &Place, footer: &[u8]) {
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    place.put("results.parquet", [b"PAR1", footer, &length, b"PAR1"].concat());
}

#[rustfmt::skip]
pub(super) fn cases() -> Vec<Case> {
    vec![
        run("a table without bytes", |place| place.put("results.parquet", "")),
        run("a table of garbage", |place| place.put("marks.parquet", [0xaa; 4096])),
        run("a table without anything", |place| place.put("results.parquet", "PAR1PAR1PAR1")),
        run("a table that was cut", |place| {
            let bytes = fs::read(place.run("power.parquet")).unwrap();
            place.put("power.parquet", &bytes[..bytes.len() / 2]);
        }),
        run("a footer of 4 GiB", |place| place.put("marks.parquet", b"PAR1\xff\xff\xff\xffPAR1")),
        run("a table of a TiB", |place| place.sparse("power.parquet", 1 << 40)),
        run("a link for a table", |place| {
            fs::copy(place.run("power.parquet"), place.path("outside/power.parquet")).unwrap();
            place.link("power.parquet", place.path("outside/power.parquet"));
        }),
        run("a FIFO for a table", |place| fifo(&place.clear("results.parquet"))),
        run("a directory for a table", |place| fs::create_dir(place.clear("marks.parquet")).unwrap()),
        // A schema whose every element has one child: a list (15) of structures (12) of such a size.
        run("columns in columns without end", |place| {
            let element = b"\x48\x01x\x15\x02\x00";
            let mut footer = b"\x15\x02\x19\xfc\xa0\x8d\x06".to_vec();
            footer.extend(element.repeat(100_000));
            footer.push(0);
            with_footer(place, &footer);
        }),
        run("a list that has more than it has", |place| with_footer(place, b"\x15\x02\x19\xfc\xff\xff\xff\xff\x07")),
        run("structures in structures", |place| with_footer(place, &[0x1c; 1 << 20])),
        run("a table of lists", |place| {
            let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
            write(place, "results.parquet", vec![("task", Arc::new(list))], 1, properties().build());
        }),
        // The dictionary holds it once, and each row has a place in it.
        run("a text of a megabyte in each of hundreds of rows", |place| {
            let how = properties().set_dictionary_page_size_limit(64 << 20).set_data_page_size_limit(64 << 20);
            write(place, "results.parquet", results(16, &"x".repeat(1 << 20), 1.0), 16, how.build());
        }),
        run("pages of hundreds of megabytes", |place| {
            let how = properties().set_dictionary_enabled(false).set_data_page_size_limit(1 << 30);
            write(place, "results.parquet", results(100, &"x".repeat(1 << 20), 1.0), 2, how.build());
        }),
        run("eighteen million rows", |place| {
            let how = properties().set_max_row_group_row_count(Some(1 << 20));
            write(place, "power.parquet", times(vec![0; 1 << 20]), 18, how.build());
        }),
        run("a million figures", |place| {
            write(place, "results.parquet", results(1 << 16, "x", 1.0), 16, properties().build());
        }),
        run("figures beyond all bounds", |place| {
            write(place, "results.parquet", results(10, "x", f64::MAX), 1, properties().build());
        }),
        run("figures that are no numbers", |place| {
            write(place, "results.parquet", results(10, "x", f64::NAN), 1, properties().build());
        }),
        run("a hundred thousand series", |place| {
            let mut columns = times(vec![0; 100_000]);
            let names: StringArray = (0..100_000).map(|number| Some(format!("device {number}"))).collect();
            columns.push(("device", Arc::new(names)));
            columns.push(("domain", texts(100_000, "socket")));
            columns.push(("halo_power_watts", Arc::new(Float64Array::from(vec![1.0; 100_000]))));
            write(place, "power.parquet", columns, 1, properties().build());
        }),
        run("columns of other types", |place| {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
            let columns = ["task", "case", "repetition", "metric", "value", "unit", "time", "monotonic_ns", "by", "name"];
            let columns: Columns = columns.into_iter().map(|name| (name, Arc::clone(&column))).collect();
            write(place, "results.parquet", columns.clone(), 1, properties().build());
            write(place, "marks.parquet", columns.clone(), 1, properties().build());
            write(place, "power.parquet", columns, 1, properties().build());
        }),
        run("marks of the first and the last moment", |place| {
            write(place, "marks.parquet", marks(vec![i64::MIN, i64::MAX, 0], "{}"), 1, properties().build());
        }),
        run("marks whose attributes are lists", |place| {
            write(place, "marks.parquet", marks(vec![0; 64], &format!("[{}0]", "[0],".repeat(100_000))), 1, properties().build());
        }),
        run("tables damaged 1", |place| damage(place, 1)),
        run("tables damaged 2", |place| damage(place, 2)),
        run("tables damaged 3", |place| damage(place, 3)),
        run("tables damaged 4", |place| damage(place, 4)),
        run("tables damaged 5", |place| damage(place, 5)),
    ]
}
