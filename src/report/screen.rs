//! What is printed, in the width of the terminal that it is printed to.
//!
//! Into a file or a pipe everything is printed whole, one line a row, as programs read it.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table};
use rustix::termios::tcgetwinsize;

use crate::visible;

/// Columns of a terminal that does not say how many it has.
const USUAL: u16 = 80;

/// Nothing is legible in less.
const LEAST: u16 = 40;

/// Text is broken into lines of no less than this before a column is left out.
const LEAST_TEXT: u16 = 16;

/// What is the same in all rows and longer than this stays in its column.
const LONGEST_SAID: usize = 24;

/// Characters between two columns.
const GAP: u16 = 2;

/// What stands for the first column of a row where that has a line of its own.
const MARK: &str = "•";

static WIDTH: OnceLock<u16> = OnceLock::new();

/// Fits what is made from now on to the terminal that standard output is, where it is one:
/// `COLUMNS` says how wide it is, else the terminal itself.
pub fn fit_to_terminal() {
    if !io::stdout().is_terminal() {
        return;
    }
    let variable = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = variable.filter(|columns| *columns > 0).or_else(|| {
        let size = tcgetwinsize(io::stdout()).ok()?;
        Some(size.ws_col).filter(|columns| *columns > 0)
    });
    // Once is enough: what is there stays.
    let _ = WIDTH.set(width.unwrap_or(USUAL).max(LEAST));
}

/// A table as text, in the width that there is. The columns that may be left out are named, the
/// first to go first.
pub(super) fn table(table: &Table, optional: &[&str]) -> String {
    let table = on_one_line(table.clone());
    match WIDTH.get() {
        Some(width) => Fitting::of(table, *width).fit(optional),
        None => lines(&table),
    }
}

/// A table in which no text of others begins a line or does anything else to the terminal.
fn on_one_line(mut table: Table) -> Table {
    let visible = |row: &Row| -> Vec<String> {
        let cells = row.cell_iter().map(comfy_table::Cell::content);
        cells.map(|text| visible::line(&text).into_owned()).collect()
    };
    if let Some(header) = table.header().map(visible) {
        table.set_header(header);
    }
    for row in table.row_iter_mut() {
        *row = visible(row).into();
    }
    table
}

/// Lines of text, each broken where it is too wide; what follows is set in by so many spaces.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    let text = visible::text(text);
    match WIDTH.get() {
        Some(width) => text.lines().map(|line| wrap(line, (*width).into(), indent)).collect(),
        None => text.into_owned(),
    }
}

/// How wide something may be that has so many characters beside it: this wide at most.
pub(super) fn beside(characters: usize, most: usize) -> usize {
    WIDTH.get().map_or(most, |width| usize::from(*width).saturating_sub(characters).clamp(1, most))
}

fn wrap(line: &str, width: usize, indent: usize) -> String {
    // Far to the right there is no room for words.
    let indent = indent.min(width / 4);
    let (mut text, mut used) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > indent && used + length > width {
            text.truncate(text.trim_end().len());
            let _ = write!(text, "\n{:indent$}", "");
            used = indent;
        }
        // A word that is wider than a line is broken anywhere.
        for letter in word.chars() {
            if used >= width && letter != ' ' {
                let _ = write!(text, "\n{:indent$}", "");
                used = indent;
            }
            text.push(letter);
            used += 1;
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn lines(table: &Table) -> String {
    table.lines().flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()]).collect()
}

/// A table on its way to a width.
struct Fitting {
    table: Table,
    width: u16,
    /// What the columns are called.
    names: Vec<String>,
    /// The widest content of each.
    natural: Vec<u16>,
    /// What each needs at least where texts are broken between words.
    least: Vec<u16>,
    hidden: Vec<bool>,
}

impl Fitting {
    fn of(table: Table, width: u16) -> Self {
        let natural = table.column_max_content_widths();
        let header = table.header().into_iter().flat_map(|row| row.cell_iter());
        let names = header.map(comfy_table::Cell::content).collect();
        let hidden = vec![false; natural.len()];
        let least = |(column, natural): (usize, &u16)| {
            let cells = table.column_cells_iter(column).flatten().map(comfy_table::Cell::content);
            let words = cells.map(|text| text.split(' ').map(|word| word.chars().count()).max());
            let longest = words.flatten().max().unwrap_or_default();
            u16::try_from(longest).unwrap_or(u16::MAX).max(LEAST_TEXT).min(*natural)
        };
        let mut least: Vec<u16> = natural.iter().enumerate().map(least).collect();
        // What names a row stays on one line.
        if let (Some(least), Some(natural)) = (least.first_mut(), natural.first()) {
            *least = *natural;
        }
        Self { table, width, names, natural, least, hidden }
    }

    fn fit(mut self, optional: &[&str]) -> String {
        let mut least = Self::of(self.table.clone(), self.width);
        least.make_room(optional);
        let first = if least.has_room() { Vec::new() } else { self.take_first() };
        let notes = self.make_room(optional);
        if self.sum(&self.natural) > self.width {
            self.arrange(first.is_empty());
        }
        let mut text = lines(&self.table);
        if !first.is_empty() {
            text = self.stacked(&text, first);
        }
        for note in notes {
            text += &wrap(&note, self.width.into(), 2);
        }
        text
    }

    /// Takes the texts of the first column, which says what a row is about, out of the table, for
    /// lines of their own.
    fn take_first(&mut self) -> Vec<String> {
        let first = self.table.column_cells_iter(0);
        let first = first.map(|cell| cell.map(comfy_table::Cell::content).unwrap_or_default());
        let first = first.collect();
        let rest = self.names[1..].iter().map(String::as_str);
        self.table.set_header([""].into_iter().chain(rest));
        for row in self.table.row_iter_mut() {
            let rest = row.cell_iter().skip(1).map(comfy_table::Cell::content);
            *row = [MARK.to_owned()].into_iter().chain(rest).collect::<Vec<_>>().into();
        }
        let name = self.names[0].clone();
        *self = Self::of(self.table.clone(), self.width);
        self.names[0] = name;
        first
    }

    /// Puts what the rows are about on lines of their own, each above its row.
    fn stacked(&self, text: &str, first: Vec<String>) -> String {
        let mut first = first.into_iter();
        let mut stacked = wrap(&self.names[0], self.width.into(), 0);
        for line in text.lines() {
            match line.strip_prefix(MARK) {
                Some(rest) => {
                    stacked += &wrap(&first.next().unwrap_or_default(), self.width.into(), 0);
                    stacked += format!(" {rest}").trim_end();
                }
                None => stacked += line,
            }
            stacked.push('\n');
        }
        stacked
    }

    /// Leaves columns out until there is room, and says which.
    fn make_room(&mut self, optional: &[&str]) -> Vec<String> {
        let mut notes = Vec::new();
        self.hide_what_is_the_same(&mut notes);
        let mut left_out = Vec::new();
        for name in optional {
            if self.has_room() {
                break;
            }
            let place = self.names.iter().position(|known| known == name);
            if let Some(column) = place.filter(|column| !self.hidden[*column]) {
                self.hide(column);
                left_out.push(*name);
            }
        }
        if !left_out.is_empty() {
            notes.push(format!("no room for: {}; a pipe, as | cat, has it", left_out.join(", ")));
        }
        notes
    }

    /// Leaves out, while there is no room, what is empty, and what is the same in all rows and can
    /// be said once.
    fn hide_what_is_the_same(&mut self, notes: &mut Vec<String>) {
        let rows = self.table.row_count();
        let mut said = Vec::new();
        for is_empty in [true, false] {
            for column in 1..self.natural.len() {
                if self.has_room() || rows < 2 {
                    break;
                }
                let cells = self.table.column_cells_iter(column);
                let cells = cells.map(|cell| cell.map(comfy_table::Cell::content));
                let mut cells: Vec<String> = cells.map(Option::unwrap_or_default).collect();
                cells.dedup();
                let [content] = &cells[..] else { continue };
                if content.chars().count() > LONGEST_SAID {
                    continue;
                }
                if content.is_empty() == is_empty && !self.hidden[column] {
                    if !is_empty {
                        said.push(format!("{} {content}", self.names[column]));
                    }
                    self.hide(column);
                }
            }
        }
        if !said.is_empty() {
            notes.push(format!("in all rows: {}", said.join(", ")));
        }
    }

    fn hide(&mut self, column: usize) {
        self.hidden[column] = true;
        if let Some(column) = self.table.column_mut(column) {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }

    /// What the columns that are shown take, where each takes so much.
    fn sum(&self, columns: &[u16]) -> u16 {
        let shown = columns.iter().zip(&self.hidden).filter(|(_, is_hidden)| !**is_hidden);
        let sum = shown.fold(0_u16, |sum, (column, _)| sum.saturating_add(*column + GAP));
        sum.saturating_sub(GAP)
    }

    /// Whether all that is shown has room, where texts may be broken into lines.
    fn has_room(&self) -> bool {
        self.sum(&self.least) <= self.width
    }

    /// Breaks texts into lines, but for the first.
    fn arrange(&mut self, is_first_whole: bool) {
        if is_first_whole && let Some(first) = self.table.column_mut(0) {
            first.set_constraint(ColumnConstraint::ContentWidth);
        }
        self.table.set_content_arrangement(ContentArrangement::Dynamic);
        // The gap behind the last column is cut off.
        self.table.set_width(self.width + GAP);
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminal::plain_table;
    use super::*;

    fn example() -> Table {
        let mut table = plain_table(&["run", "state", "batch", "verdict", "result", "tags"]);
        for number in 0..3 {
            table.add_row([
                format!("20261124T035512.{number:03}Z-llama-bench-qwen3"),
                "complete".to_owned(),
                String::new(),
                ["clean", "flagged", "clean"][number].to_owned(),
                "pp512 1234.5 ± 1.2, tg128 51.20 ± 0.20".to_owned(),
                format!("kv=q4_0 round={number}"),
            ]);
        }
        table
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal_at_most() {
        let whole = lines(&example());
        for width in [40, 60, 80, 100, 120, 200] {
            let text = Fitting::of(example(), width).fit(&["tags"]);
            for line in text.lines() {
                assert!(line.chars().count() <= width.into(), "{width}: {line}");
            }
            assert_eq!(width == 200, text == whole, "{text}");
        }
        let text = Fitting::of(example(), 80).fit(&["tags"]);
        assert!(text.contains("20261124T035512.001Z-llama-bench-qwen3  "), "{text}");
        assert!(text.contains("in all rows: state complete"), "{text}");
        assert!(!text.contains("batch"), "{text}");
    }

    #[test]
    fn what_has_no_room_is_named() {
        let text = Fitting::of(example(), 66).fit(&["tags"]);
        assert!(text.ends_with("no room for: tags; a pipe, as | cat, has it\n"), "{text}");
        assert!(!text.contains("kv=q4_0"), "{text}");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("good  RAM  one two three", 16, 4), "good  RAM  one\n    two three\n");
        assert_eq!(wrap("short", 16, 6), "short\n");
        assert_eq!(wrap("averyveryverylongword", 8, 2), "averyver\n  yveryl\n  ongwor\n  d\n");
    }
}
