//! The tables in `docs/archive.md` are those that halo writes.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use arrow::datatypes::{DataType, Schema};
use halo::archive::schema;

use crate::machine::ensure_contents;

const BEGIN: &str =
    "<!-- Generated from the declarations in src/ by tests/it/archive/document.rs. -->\n";
const END: &str = "<!-- End of what is generated. -->\n";

#[test]
fn the_document_lists_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/archive.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    ensure_contents([(path, format!("{before}{BEGIN}{}{END}{after}", tables()))]);
}

fn tables() -> String {
    let mut text = String::from(
        "
Every table with a time begins with `time` (a timestamp in nanoseconds, UTC) and `monotonic_ns` (a 64-bit integer).
Labels are the keys of a row and never null; families are 64-bit floats and may be.

| table | labels | families |
|---|---|---|
",
    );
    for wide in schema::wide_tables().values() {
        let quoted = |names: Vec<&str>| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let families = quoted(wide.families.iter().map(|def| def.name).collect());
        writeln!(text, "| `{}` | {} | {families} |", wide.name, quoted(wide.labels.to_vec()))
            .unwrap();
    }
    text.push_str("\n| table | column | type | null |\n|---|---|---|---|\n");
    let own = [
        ("eval_samples", schema::eval_samples()),
        ("marks", schema::marks()),
        ("results", schema::results()),
        ("sampling", schema::sampling()),
    ];
    for (name, schema) in own {
        columns(&mut text, name, &schema);
    }
    text.push('\n');
    text
}

fn columns(text: &mut String, table: &str, schema: &Schema) {
    let times = [schema::TIME, schema::MONOTONIC];
    for field in schema.fields().iter().filter(|field| !times.contains(&field.name().as_str())) {
        let kind = match field.data_type() {
            DataType::Utf8 => "text",
            DataType::Float64 => "64-bit float",
            DataType::UInt64 => "unsigned 64-bit integer",
            DataType::UInt32 => "unsigned 32-bit integer",
            DataType::Timestamp(_, _) => "timestamp in nanoseconds, UTC",
            other => panic!("{other} has no name for people yet"),
        };
        let null = if field.is_nullable() { "yes" } else { "no" };
        writeln!(text, "| `{table}` | `{}` | {kind} | {null} |", field.name()).unwrap();
    }
}
