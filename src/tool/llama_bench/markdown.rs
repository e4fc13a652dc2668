//! `-o md`, the table that users see: rounded averages, and those parameters that differ from
//! their defaults. People put it into their own texts.

use serde_json::Value;

use super::output::{Fields, Found, Line, Output, is_no_figure, typed};

/// What the table calls differently from the other formats. `size` and `params` stay as they
/// are: they are rounded.
const COLUMNS: &[(&str, &str)] = &[
    ("model", "model_type"),
    ("backend", "backends"),
    ("ngl", "n_gpu_layers"),
    ("sm", "split_mode"),
    ("threads", "n_threads"),
    ("nkvo", "no_kv_offload"),
    ("fa", "flash_attn"),
    ("lm", "load_mode"),
    ("mmap", "use_mmap"),
    ("dio", "use_direct_io"),
    ("embd", "embeddings"),
    ("nopo", "no_op_offload"),
    ("noh", "no_host"),
    ("rpk", "repack"),
    ("dev", "devices"),
    ("ts", "tensor_split"),
    ("ot", "tensor_buft_overrides"),
    ("fitt", "fit_target"),
    ("fitc", "fit_min_ctx"),
];

/// Columns of other tools whose tables have a test and a speed, too.
const OF_OTHERS: &[&str] = &["peak t/s", "ttfr (ms)"];

/// A line of a table.
struct TableLine<'a> {
    line: Line<'a>,
    /// What stands between its first stroke and its end.
    inner: &'a str,
    /// What stands between cells: a tab where somebody copied the table from a page.
    separator: char,
}

/// Reads the rows of the tables, and the version below each. Other text, which may quote or indent
/// a table, and tables of something else are passed over.
pub(super) fn find(output: &Output<'_>) -> Found {
    let mut found = Found::default();
    let lines: Vec<Line<'_>> = output.lines().collect();
    let mut head: Option<(char, Vec<&str>)> = None;
    // The first test of the table whose version is not known yet.
    let mut of_table = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(row) = TableLine::of(*line) else {
            if let Some(build) = build_of(unquoted(line.text)).filter(|_| line.is_ended) {
                for test in &mut found.tests[of_table..] {
                    test.fields.extend(build.clone());
                }
                of_table = found.tests.len();
            }
            continue;
        };
        let next = lines.get(index + 1).and_then(|line| TableLine::of(*line));
        if row.is_rule() {
            continue;
        }
        let names = row.cells();
        if is_head(&names) {
            of_table = found.tests.len();
            head = Some((row.separator, names));
        } else if next.is_some_and(|next| next.is_rule()) {
            // The head of a table of something else.
            head = None;
        } else if let Some((separator, columns)) = &head
            && *separator == row.separator
        {
            row.read(columns, output, &mut found);
        }
    }
    found
}

fn is_head(names: &[&str]) -> bool {
    names.contains(&"t/s")
        && names.contains(&"test")
        && !names.iter().any(|name| OF_OTHERS.contains(name))
}

/// A line without what quotes or indents it, and without the dots while a model loads.
fn unquoted(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '>', '.', '-', '*', '+']).trim_end()
}

impl<'a> TableLine<'a> {
    fn of(line: Line<'a>) -> Option<Self> {
        if let Some(inner) = unquoted(line.text).strip_prefix('|') {
            return Some(Self { line, inner, separator: '|' });
        }
        let inner = line.text.trim();
        inner.contains('\t').then_some(Self { line, inner, separator: '\t' })
    }

    /// Whether it is the one below the head.
    fn is_rule(&self) -> bool {
        self.separator == '|'
            && self.inner.contains('-')
            && self.inner.trim_matches(['-', ':', '|', ' ']).is_empty()
    }

    fn cells(&self) -> Vec<&'a str> {
        let inner = self.inner.strip_suffix(self.separator).unwrap_or(self.inner);
        inner.split(self.separator).map(plain).collect()
    }

    /// As many cells as there are columns. A stroke with nothing before it belongs to a cell, as in
    /// the pattern of a tensor's name.
    fn cells_for(&self, columns: usize) -> Result<Vec<&'a str>, usize> {
        let cells = self.cells();
        if cells.len() == columns {
            return Ok(cells);
        }
        let inner = self.inner.strip_suffix('|').unwrap_or(self.inner);
        let apart: Vec<&str> = inner.split(" |").map(plain).collect();
        if apart.len() == columns { Ok(apart) } else { Err(cells.len()) }
    }

    fn read(&self, columns: &[&str], output: &Output<'_>, found: &mut Found) {
        let line = self.line.number;
        let cells = self.cells_for(columns.len());
        // A number that was cut is a number, too.
        let is_whole = cells.is_ok() && self.inner.ends_with('|');
        if !self.line.is_ended && !is_whole {
            found.cut = Some(output.cut(line));
            return;
        }
        let fields = cells
            .map_err(|count| format!("{count} cells for {} columns", columns.len()))
            .and_then(|cells| fields(columns, &cells));
        match fields {
            Ok(fields) => found.tests.push(output.test(line, fields)),
            // Any text may have tabs.
            Err(_) if self.separator == '\t' => {}
            Err(detail) => found.damages.push(output.error(line, detail)),
        }
    }
}

/// A cell without what makes it bold or gives it another font.
fn plain(cell: &str) -> &str {
    cell.trim().trim_matches(['*', '`']).trim()
}

/// What a row says, or what is wrong with it.
fn fields(columns: &[&str], cells: &[&str]) -> Result<Fields, String> {
    let mut fields = Fields::new();
    for (column, cell) in columns.iter().zip(cells) {
        match *column {
            "test" => fields.extend(
                tokens(cell).ok_or_else(|| format!("test is {cell}, not as pp512 or tg128"))?,
            ),
            "t/s" => fields
                .extend(speed(cell).ok_or_else(|| format!("t/s is {cell}, not as 57.0 ± 0.2"))?),
            name => {
                let known = COLUMNS.iter().find(|(shown, _)| *shown == name);
                let field = known.map_or(name, |(_, field)| field);
                fields.insert(field.to_owned(), typed(field, cell));
            }
        }
    }
    Ok(fields)
}

/// `build: b11434 (11434)`: the commit and the number. Other programs of llama.cpp print
/// `build: 11434 (b11434) with ...`, and people write what they like.
fn build_of(line: &str) -> Option<Fields> {
    let version = line.strip_prefix("build: ")?;
    let (commit, number) = version.strip_suffix(')')?.split_once(" (")?;
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if commit.is_empty() || !is_word(commit) || number.parse::<u64>().is_err() {
        return None;
    }
    let fields = [("build_commit", commit), ("build_number", number)];
    Some(fields.into_iter().map(|(name, value)| (name.to_owned(), typed(name, value))).collect())
}

/// The numbers of tokens in `pp64+tg16 @ d256`, and in those of 2023, as `pp 512`. `tg128@pp512` of
/// `ik_llama.cpp` generates at a depth of 512.
pub(super) fn tokens(label: &str) -> Option<Fields> {
    let label: String = label.split_whitespace().collect();
    let (kinds, depth) = match label.split_once('@') {
        Some((kinds, depth)) => {
            let is_generation = kinds.starts_with("tg");
            let prompt = depth.strip_prefix("pp").filter(|_| is_generation);
            (kinds, depth.strip_prefix('d').or(prompt)?)
        }
        None => (label.as_str(), "0"),
    };
    let (prompt, generated) = match kinds.split_once("+tg") {
        Some((prompt, generated)) => (prompt.strip_prefix("pp")?, generated),
        None => match kinds.strip_prefix("pp") {
            Some(prompt) => (prompt, "0"),
            None => ("0", kinds.strip_prefix("tg")?),
        },
    };
    let numbers = [("n_prompt", prompt), ("n_gen", generated), ("n_depth", depth)];
    numbers
        .into_iter()
        .map(|(name, text)| Some((name.to_owned(), Value::from(text.parse::<u64>().ok()?))))
        .collect()
}

/// The mean and the standard deviation in `21569.16 ± 1529.63`; nothing of a test that failed. What
/// stands between them is garbled where a system does not know the letter.
fn speed(cell: &str) -> Option<Fields> {
    let words: Vec<&str> = cell.split(['±', ' ']).filter(|word| !word.is_empty()).collect();
    let is_sign = |word: &str| !word.contains(|c: char| c.is_ascii_alphanumeric());
    let (mean, deviation) = match words[..] {
        [mean] => (mean, None),
        [mean, deviation] => (mean, Some(deviation)),
        [mean, sign, deviation] if is_sign(sign) => (mean, Some(deviation)),
        _ => return is_no_figure(cell).then(no_speed),
    };
    if is_no_figure(mean) {
        return Some(no_speed());
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let mut fields = Fields::from_iter([("avg_ts".to_owned(), Value::from(number(mean)?))]);
    if let Some(deviation) = deviation.filter(|deviation| !is_no_figure(deviation)) {
        fields.insert("stddev_ts".to_owned(), number(deviation)?.into());
    }
    Some(fields)
}

fn no_speed() -> Fields {
    Fields::from_iter([("avg_ts".to_owned(), Value::Null)])
}
