//! The tables of a run for strangers: numbers and times as they are, texts cleaned, other columns not.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::LazyLock;

use crate::archive::{ArchiveError, RunDirectory, read, rewrite, schema};
use crate::redact::{Kind, Redactor};
use crate::run::{Manifest, share};

/// The column with the name of a program.
const PROGRAM: &str = "comm";

/// The columns of texts that halo declares: a label of a family, or a field of a table of its own.
static DECLARED: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let wide = schema::wide_tables().into_values().map(|table| table.schema());
    let own = [schema::sampling(), schema::marks(), schema::results(), schema::eval_samples()];
    let schemas: Vec<_> = wide.chain(own).collect();
    schemas.iter().flat_map(|schema| schema.fields()).map(|field| field.name().clone()).collect()
});

/// Writes the tables into a directory.
pub(super) fn copy(
    run: &RunDirectory,
    manifest: &Manifest,
    to: &Path,
    redactor: &mut Redactor,
) -> Result<(), ArchiveError> {
    let name = redactor.clean(run.name());
    // The same few texts stand in most rows.
    let mut known: HashMap<(bool, String), String> = HashMap::new();
    for table in read::names(run)? {
        rewrite::texts(run, manifest, &table, to, &name, |column, text| {
            let is_program = column == PROGRAM;
            let entry = known.entry((is_program, text.to_owned()));
            let clean = entry.or_insert_with(|| match is_program {
                true => share::program(text.to_owned(), redactor),
                false if DECLARED.contains(column) => redactor.clean(text),
                false => redactor.stand_in(Kind::Identifier, text),
            });
            clean.clone()
        })?;
    }
    Ok(())
}
