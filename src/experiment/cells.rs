//! Lines of a CSV file, cell by cell.
//!
//! Numbers are printed in their shortest form that reads back the same, a cell that does not
//! apply is empty, lines end with one line feed, and no value ever needs quotes: what would is
//! replaced when it is written ([`label`]).

use std::path::Path;
use std::str::FromStr;

use csv::{QuoteStyle, ReaderBuilder, StringRecord, Terminator, WriterBuilder};

use super::Error;

/// A column of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// As in the first line of the file. The unit comes last.
    pub name: &'static str,
    /// What it holds, as a sentence.
    pub about: &'static str,
}

/// A text that needs no quotes: commas become semicolons, quotes apostrophes, and what is not
/// printable a space. Empty becomes `-`, since an empty cell means that nothing applies.
pub fn label(text: &str) -> String {
    let plain = text.trim().chars().map(|c| match c {
        ',' => ';',
        '"' => '\'',
        c if c.is_control() || c == '\u{feff}' => ' ',
        c => c,
    });
    let plain: String = plain.collect();
    if plain.is_empty() {
        "-".to_owned()
    } else {
        plain
    }
}

/// A number that may not apply.
pub(super) fn number(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

/// A count that may not apply.
pub(super) fn count(value: Option<u64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// A whole file from its lines, the first of which names the columns.
pub(super) fn print(lines: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = WriterBuilder::new()
        .quote_style(QuoteStyle::Never)
        .terminator(Terminator::Any(b'\n'))
        .has_headers(false)
        .from_writer(Vec::new());
    for line in lines {
        writer
            .write_record(&line)
            .expect("all lines of a table have the same number of cells");
    }
    writer
        .into_inner()
        .expect("writing into memory does not fail")
}

/// Reads a whole file whose first columns are `columns`. Returns the names of the further
/// columns, and what `read` makes of each line.
pub(super) fn parse<T>(
    path: &Path,
    bytes: &[u8],
    columns: &'static [Column],
    mut read: impl FnMut(&mut Cells<'_>) -> Result<T, Error>,
) -> Result<(Vec<String>, Vec<T>), Error> {
    let mut reader = ReaderBuilder::new().quoting(false).from_reader(bytes);
    let malformed = |line: u64, error: &csv::Error| Error::Malformed {
        path: path.to_owned(),
        line: error.position().map_or(line, csv::Position::line),
        reason: reason(error),
    };
    let header = reader
        .headers()
        .map_err(|error| malformed(1, &error))?
        .clone();
    if header.len() < columns.len() || !header.iter().zip(columns).all(|(a, b)| a == b.name) {
        return Err(Error::Columns {
            path: path.to_owned(),
            expected: columns
                .iter()
                .map(|column| column.name)
                .collect::<Vec<_>>()
                .join(","),
            found: header.iter().collect::<Vec<_>>().join(","),
        });
    }
    let further = header.iter().skip(columns.len()).map(str::to_owned);
    let further: Vec<String> = further.collect();
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| malformed(index as u64 + 2, &error))?;
        let line = record.position().map_or(index as u64 + 2, |at| at.line());
        rows.push(read(&mut Cells {
            record: &record,
            columns,
            next: 0,
            path,
            line,
        })?);
    }
    Ok((further, rows))
}

/// What the parser of lines complains of, in our words.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("the line has {len} cells where the first line has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "the line is not UTF-8 text".to_owned(),
        // The list of kinds is open; the parser's own words serve for the others.
        _ => error.to_string(),
    }
}

/// One line, read from left to right.
pub(super) struct Cells<'a> {
    record: &'a StringRecord,
    columns: &'static [Column],
    next: usize,
    path: &'a Path,
    /// Counted from one.
    pub(super) line: u64,
}

impl Cells<'_> {
    /// The next cell as text.
    pub(super) fn text(&mut self) -> String {
        let cell = self.record.get(self.next).unwrap_or_default();
        self.next += 1;
        cell.to_owned()
    }

    /// The next cell as a count.
    pub(super) fn count(&mut self) -> Result<u64, Error> {
        let cell = self.text();
        self.read(&cell, "a count")
    }

    /// The next cell as a count, or nothing if it is empty.
    pub(super) fn optional_count(&mut self) -> Result<Option<u64>, Error> {
        let cell = self.text();
        (!cell.is_empty())
            .then(|| self.read(&cell, "a count"))
            .transpose()
    }

    /// The next cell as a number, or nothing if it is empty.
    pub(super) fn number(&mut self) -> Result<Option<f64>, Error> {
        let cell = self.text();
        if cell.is_empty() {
            return Ok(None);
        }
        let value: f64 = self.read(&cell, "a number")?;
        if value.is_finite() {
            Ok(Some(value))
        } else {
            Err(self.malformed(&cell, "a finite number"))
        }
    }

    /// The next cell as a number, which must be there.
    pub(super) fn required_number(&mut self) -> Result<f64, Error> {
        let value = self.number()?;
        value.ok_or_else(|| self.malformed("", "a number"))
    }

    /// All further cells as text.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let cells = self.record.iter().skip(self.next).map(str::to_owned);
        cells.collect()
    }

    /// An error in this line.
    pub(super) fn wrong(&self, reason: String) -> Error {
        Error::Malformed {
            path: self.path.to_owned(),
            line: self.line,
            reason,
        }
    }

    fn read<T: FromStr>(&self, cell: &str, what: &str) -> Result<T, Error> {
        cell.parse().map_err(|_| self.malformed(cell, what))
    }

    /// An error in the cell just read.
    fn malformed(&self, cell: &str, what: &str) -> Error {
        let column = self
            .columns
            .get(self.next - 1)
            .map_or("?", |column| column.name);
        let shown: String = cell.chars().take(40).collect();
        self.wrong(format!("column `{column}`: `{shown}` is not {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_need_quotes() {
        for (text, plain) in [
            ("[200us, 300us]", "[200us; 300us]"),
            ("say \"no\"", "say 'no'"),
            ("two\nlines\r", "two lines"),
            ("  ", "-"),
            ("pbft", "pbft"),
        ] {
            assert_eq!(label(text), plain);
        }
    }

    #[test]
    fn numbers_are_printed_in_their_shortest_form() {
        let shown = [0.1 + 0.2, 5.0, 1e-7, f64::NAN, f64::INFINITY].map(|x| number(Some(x)));
        assert_eq!(shown, ["0.30000000000000004", "5", "0.0000001", "", ""]);
        assert_eq!(number(None), "");
    }
}
