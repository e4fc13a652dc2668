//! What a Parquet file would take in memory, known before it is read: the package that reads it
//! believes what the file says of itself.
//!
//! The footer and the headers of pages are structures of Thrift's compact protocol. Of them only the
//! few numbers are looked at that say how large something is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type;
use parquet::file::metadata::RowGroupMetaData;

/// A footer has no more bytes: with a hundred columns and a row group for each hour it has some
/// hundred thousand.
const LARGEST_FOOTER: u64 = 4 << 20;

/// All pages that are held at once have no more bytes: one of each column, and its dictionary. A page
/// of halo's own holds 16384 values or some MiB of text.
const LARGEST_PAGES: u64 = 64 << 20;

/// The texts of rows that are decoded at once have no more bytes.
const LARGEST_BATCH: u64 = 32 << 20;

/// A table has no more rows: a hundred sets of labels for eleven hours, four times a second.
const MOST_ROWS: i64 = 1 << 24;

/// Columns of a table; the widest of halo's has about fifty.
const MOST_COLUMNS: usize = 1024;

/// The header of a page has no more bytes: it may hold the smallest and the largest value.
const LONGEST_HEADER: usize = 64 << 10;

/// Structures in structures.
const DEEPEST: usize = 16;

/// The length of a footer, its end and what stands there.
const TAIL: usize = 8;
const MAGIC: &[u8] = b"PAR1";

/// Refuses a footer that is too large, or whose columns have columns themselves: both the list of the
/// row groups and how deep the columns go decide what reading it takes.
pub(super) fn check_footer(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let Some(end) = length.checked_sub(TAIL as u64) else {
        return refuse("is too short for Parquet");
    };
    let mut tail = [0; TAIL];
    file.read_exact_at(&mut tail, end)?;
    let (size, magic) = tail.split_at(4);
    let size = u64::from(u32::from_le_bytes(size.try_into().unwrap_or_default()));
    if magic != MAGIC || size > end {
        return refuse("has no footer of Parquet");
    }
    if size > LARGEST_FOOTER {
        return refuse("has a footer that is too large to be true");
    }
    let mut footer = vec![0; usize::try_from(size).unwrap_or_default()];
    file.read_exact_at(&mut footer, end - size)?;
    let mut groups = 0;
    let read = Thrift { bytes: &footer, at: 0 }.structure(&mut Vec::new(), &mut |path, value| {
        // `schema`, and in each of its elements `num_children`: of the table itself alone.
        if path == [2, 5] && value > 0 {
            groups += 1;
        }
    });
    match (read, groups) {
        (Some(()), 0 | 1) => Ok(()),
        (Some(()), _) => refuse("has columns in columns"),
        (None, _) => refuse("has a damaged footer"),
    }
}

/// Refuses a table whose pages or rows would fill the memory, and gives how many rows may be decoded
/// at once, of at most so many.
pub(super) fn check(file: &File, metadata: &ArrowReaderMetadata, most: usize) -> io::Result<usize> {
    let fields = metadata.schema().fields();
    if fields.is_empty() || fields.len() > MOST_COLUMNS {
        return refuse(&format!("has {} columns", fields.len()));
    }
    // A value of another type may be as large as it says.
    if let Some(other) = fields.iter().find(|field| !is_of_halo(field.data_type())) {
        return refuse(&format!("has a column of the type {}", other.data_type()));
    }
    let parquet = metadata.metadata();
    let rows = parquet.row_groups().iter().map(RowGroupMetaData::num_rows);
    let is_sane = |rows: &i64| (0..=MOST_ROWS).contains(rows);
    if !rows.clone().all(|rows| is_sane(&rows)) || !is_sane(&rows.sum()) {
        return refuse(&format!("says that it has more than {MOST_ROWS} rows, or fewer than none"));
    }
    let (mut pages, mut texts) = (vec![0; fields.len()], vec![0; fields.len()]);
    for group in parquet.row_groups() {
        for (number, column) in group.columns().iter().enumerate() {
            let largest = chunk(
                file,
                column.dictionary_page_offset().unwrap_or(column.data_page_offset()),
                column.compressed_size(),
            )?;
            let (Some(pages), Some(texts)) = (pages.get_mut(number), texts.get_mut(number)) else {
                return refuse("has columns in columns");
            };
            *pages = largest.pages.max(*pages);
            if column.column_type() == Type::BYTE_ARRAY {
                *texts = largest.value.max(*texts);
            }
        }
    }
    if pages.iter().sum::<u64>() > LARGEST_PAGES {
        let most = LARGEST_PAGES >> 20;
        return refuse(&format!("has pages of more than {most} MiB"));
    }
    let rows = LARGEST_BATCH / texts.iter().sum::<u64>().max(1);
    Ok(usize::try_from(rows).unwrap_or(most).clamp(1, most))
}

fn refuse<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

fn is_of_halo(kind: &DataType) -> bool {
    kind.is_integer()
        || matches!(
            kind,
            DataType::Utf8
                | DataType::Boolean
                | DataType::Float32
                | DataType::Float64
                | DataType::Timestamp(..)
        )
}

/// The largest of a column's part in a row group, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Largest {
    /// A page and the dictionary.
    pages: u64,
    /// A value, if it is a text: no larger than the page or the dictionary that holds it.
    value: u64,
}

/// Goes through the headers of the pages, as the reader will.
fn chunk(file: &File, start: i64, length: i64) -> io::Result<Largest> {
    let (Ok(mut at), Ok(mut left)) = (u64::try_from(start), u64::try_from(length)) else {
        return refuse("has a column of a negative size");
    };
    let (mut page, mut dictionary, mut value) = (0, 0, 0);
    let mut buffer = vec![0; 256];
    while left > 0 {
        let mut read = header(file, at, left, &mut buffer)?;
        if read.is_none() {
            // Most headers are short.
            buffer.resize(LONGEST_HEADER, 0);
            read = header(file, at, left, &mut buffer)?;
        }
        let Some(header) = read else { return refuse("has a damaged page") };
        let sizes = [header.packed, header.unpacked].map(u64::try_from);
        let [Ok(packed), Ok(unpacked)] = sizes else {
            return refuse("has a page of a negative size");
        };
        let Some(rest) = left.checked_sub(header.length.saturating_add(packed)) else {
            return refuse("has a page that ends behind its column");
        };
        if packed.max(unpacked) > LARGEST_PAGES {
            return refuse(&format!("has a page of {} bytes", packed.max(unpacked)));
        }
        let size = packed + unpacked;
        if header.kind == DICTIONARY {
            dictionary = size.max(dictionary);
            value = unpacked.max(value);
        } else {
            page = size.max(page);
            // Such a page holds places in the dictionary alone.
            if ![Some(PLAIN_DICTIONARY), Some(RLE_DICTIONARY)].contains(&header.encoding) {
                value = unpacked.max(value);
            }
        }
        at += header.length + packed;
        left = rest;
    }
    Ok(Largest { pages: page + dictionary, value })
}

/// Kinds of pages and encodings, as `parquet.thrift` numbers them.
const DICTIONARY: i64 = 2;
const PLAIN_DICTIONARY: i64 = 2;
const RLE_DICTIONARY: i64 = 8;

/// What the header of a page says.
#[derive(Debug, Default)]
struct Header {
    kind: i64,
    unpacked: i64,
    packed: i64,
    encoding: Option<i64>,
    /// Its own size, in bytes.
    length: u64,
}

/// Reads a header with what fits in the buffer; none where that was not all of it.
fn header(file: &File, at: u64, left: u64, buffer: &mut [u8]) -> io::Result<Option<Header>> {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    let mut read = 0;
    while read < length {
        match file.read_at(&mut buffer[read..length], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut header = Header::default();
    let mut thrift = Thrift { bytes: &buffer[..read], at: 0 };
    let whole = thrift.structure(&mut Vec::new(), &mut |path, value| match path {
        [1] => header.kind = value,
        [2] => header.unpacked = value,
        [3] => header.packed = value,
        [5, 2] | [8, 4] => header.encoding = Some(value),
        _ => {}
    });
    header.length = thrift.at as u64;
    Ok(whole.map(|()| header))
}

/// Bytes of Thrift's compact protocol, and how far they are read.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    /// Reads a structure and tells each whole number in it with the numbers of the fields that lead
    /// there; entries of lists have no numbers. None where it is damaged or has no end.
    fn structure(&mut self, path: &mut Vec<i64>, see: &mut impl FnMut(&[i64], i64)) -> Option<()> {
        if path.len() > DEEPEST {
            return None;
        }
        let mut last = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Some(());
            }
            last = match byte >> 4 {
                0 => self.signed()?,
                step => last + i64::from(step),
            };
            path.push(last);
            self.value(byte & 15, path, see)?;
            path.pop();
        }
    }

    fn value(
        &mut self,
        kind: u8,
        path: &mut Vec<i64>,
        see: &mut impl FnMut(&[i64], i64),
    ) -> Option<()> {
        match kind {
            // A truth stands in its kind.
            1 | 2 => {}
            3 => _ = self.byte()?,
            4..=6 => see(path, self.signed()?),
            7 => self.skip(8)?,
            8 => {
                let length = self.unsigned()?;
                self.skip(length)?;
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = match byte >> 4 {
                    15 => self.unsigned()?,
                    count => u64::from(count),
                };
                for _ in 0..count {
                    match byte & 15 {
                        1 | 2 => _ = self.byte()?,
                        // Lists of lists are in no such file, and cost a call each.
                        9..=11 => return None,
                        kind => self.value(kind, path, see)?,
                    }
                }
            }
            12 => self.structure(path, see)?,
            _ => return None,
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.at = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        (self.at <= self.bytes.len()).then_some(())
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }
}
