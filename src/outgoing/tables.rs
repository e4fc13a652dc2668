//! The tables of a run for strangers: numbers and times as they are, texts as `archive::schema` declares
//! it for their column.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use crate::archive::schema::{self, Shared};
use crate::archive::{ArchiveError, RunDirectory, read, rewrite};
use crate::redact::{Kind, Redactor};
use crate::run::{Manifest, Share, share};

/// No text of a table is longer, in bytes: halo cuts what it takes over.
const LONGEST: usize = 64 * 1024;

/// Writes the tables into a directory.
pub(super) fn copy(
    run: &RunDirectory,
    manifest: &Manifest,
    to: &Path,
    redactor: &mut Redactor,
) -> Result<(), ArchiveError> {
    let name = redactor.clean(run.name());
    // The same few texts stand in most rows.
    let (mut known, mut labels) = (HashMap::<String, String>::new(), HashMap::new());
    for table in read::names(run)? {
        rewrite::texts(run, manifest, &table, to, &name, |column, text| {
            if column == rewrite::ABOUT_COLUMN && schema::is_declared(text) {
                return text.to_owned();
            }
            match schema::shared(column) {
                Shared::Kept => {
                    if let Some(clean) = labels.get(text) {
                        return String::clone(clean);
                    }
                    let clean = redactor.clean_name(text);
                    labels.insert(text.to_owned(), clean.clone());
                    clean
                }
                Shared::Program => share::program(text.to_owned(), redactor),
                Shared::Nothing => redactor.stand_in(Kind::Identifier, text),
                _ if text.len() > LONGEST => {
                    format!("(a text of {} bytes is left out)", text.len())
                }
                cleaned => {
                    if let Some(clean) = known.get(text) {
                        return clean.clone();
                    }
                    let json = (cleaned == Shared::CleanedJson).then(|| serde_json::from_str(text));
                    let clean = match json {
                        Some(Ok(value)) => Value::share(value, redactor).to_string(),
                        _ => redactor.clean(text),
                    };
                    known.insert(text.to_owned(), clean.clone());
                    clean
                }
            }
        })?;
    }
    Ok(())
}
