//! What a tool printed and wrote, for strangers: line by line, so that memory does not grow with it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use crate::archive::inside::Directory;
use crate::archive::{ArchiveError, RunDirectory};
use crate::redact::Redactor;
use crate::run::manifest;
use crate::run::{OUTPUT_FILES, RAW};

/// The longest line that is looked through, in bytes: a whole log in JSON may be one. Half of a line
/// could not be looked through, so that a longer one is left out.
const LONGEST_LINE: usize = 8 << 20;

/// What stands in the place of a line that is longer.
const LEFT_OUT: &str = "(a line of more than 8 MiB is left out)\n";

/// Lines that are looked through together, in bytes: a key may have several.
const TOGETHER: usize = 256 * 1024;

/// Writes the copy of a file; whether there is one: what is packed cannot be looked through, as the
/// logs of inspect-ai.
pub(super) fn copy(
    run: &RunDirectory,
    file: &manifest::File,
    to: &Path,
    path: &str,
    redactor: &mut Redactor,
) -> Result<bool, ArchiveError> {
    let at = |error: io::Error| ArchiveError::at(&run.join(&file.path), error);
    let open = || run.opened()?.open(&file.path);
    let is_of_tool = file.path.starts_with(&format!("{RAW}/{OUTPUT_FILES}"));
    if is_of_tool && !is_text(open().map_err(at)?).map_err(at)? {
        return Ok(false);
    }
    let mut write = || -> io::Result<()> {
        let to = Directory::of_archive(to)?;
        if let Some((above, _)) = path.rsplit_once('/') {
            to.make(above)?;
        }
        let mut whole = to.begin(path)?;
        let mut output = BufWriter::new(whole.file());
        clean(BufReader::new(open()?), &mut output, redactor)?;
        output.flush()?;
        drop(output);
        whole.finish()
    };
    write().map_err(at)?;
    Ok(true)
}

/// The path of a copy: each part is a name of its own.
pub(super) fn path(path: &str, redactor: &mut Redactor) -> String {
    let parts: Vec<String> = path.split('/').map(|part| redactor.clean(part)).collect();
    parts.join("/")
}

fn is_text(file: File) -> io::Result<bool> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line)? {
        if std::str::from_utf8(&line).is_err() {
            return Ok(false);
        }
        line.clear();
    }
    Ok(true)
}

/// Adds a line to the text, or what stands in its place where it is too long; whether there was one.
fn read_line(reader: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<bool> {
    let start = text.len();
    let length = io::Read::take(&mut *reader, LONGEST_LINE as u64).read_until(b'\n', text)?;
    if length == LONGEST_LINE && !text.ends_with(b"\n") {
        text.truncate(start);
        text.extend_from_slice(LEFT_OUT.as_bytes());
        reader.skip_until(b'\n')?;
    }
    Ok(length > 0)
}

/// Cleans a text piece by piece. A piece ends with a line, and never within a block of a key.
fn clean(
    mut reader: impl BufRead,
    output: &mut impl Write,
    redactor: &mut Redactor,
) -> io::Result<()> {
    let mut piece = Vec::new();
    let mut is_in_block = false;
    loop {
        let start = piece.len();
        let has_more = read_line(&mut reader, &mut piece)?;
        let line = String::from_utf8_lossy(&piece[start..]);
        is_in_block = (is_in_block || line.contains("-----BEGIN ")) && !line.contains("-----END ");
        let is_whole = !is_in_block || piece.len() > LONGEST_LINE;
        if !has_more || (piece.len() > TOGETHER && is_whole) {
            output.write_all(redactor.clean(&String::from_utf8_lossy(&piece)).as_bytes())?;
            piece.clear();
        }
        if !has_more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LINE, TOGETHER, clean};
    use crate::redact::Redactor;

    fn cleaned(text: &str) -> String {
        let mut output = Vec::new();
        clean(text.as_bytes(), &mut output, &mut Redactor::default()).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_alone() {
        let long = "/mnt/zq/x ".repeat(LONGEST_LINE / 10 + 1);
        let said = cleaned(&format!("one\n{long}\n/mnt/zq/two\n"));
        assert_eq!(said, "one\n(a line of more than 8 MiB is left out)\ntwo\n");
    }

    #[test]
    fn a_block_is_not_cut_between_pieces() {
        let block = "-----BEGIN PRIVATE KEY-----\nzqsecret\n-----END PRIVATE KEY-----";
        let before = "x\n".repeat(TOGETHER / 2 - 10);
        let said = cleaned(&format!("{before}{block}\nend"));
        assert!(said.ends_with("x\n(hidden)\nend"), "{}", &said[said.len() - 60..]);
    }
}
