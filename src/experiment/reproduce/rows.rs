//! The file `reproduce.csv`.

use std::path::Path;

use crate::experiment::cells::{self, Cells, Column, label};
use crate::experiment::{Error, store};

/// The name of the file.
pub const FILE: &str = "reproduce.csv";

/// One published value and ours.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `COLUMNS`")]
pub struct Row {
    pub target: String,
    pub series: String,
    pub x: f64,
    pub quantity: String,
    pub unit: String,
    pub published: f64,
    pub ours: Option<f64>,
    pub error_pct: Option<f64>,
    pub fitted: bool,
    pub source: String,
}

/// The columns.
pub const COLUMNS: &[Column] = &[
    col(
        "target",
        "The publication, as `consilium reproduce` takes it.",
    ),
    col(
        "series",
        "The curve, or two curves of which this is the quotient.",
    ),
    col(
        "x",
        "Where the value stands along the curve: the number of nodes.",
    ),
    col(
        "quantity",
        "What is compared: `latency_mean`, `burst_tps` or `latency_ratio`.",
    ),
    col("unit", "The unit of both values."),
    col("published", "The value of the publication."),
    col(
        "ours",
        "Our value, corrected as `source` says; empty if the run gave none.",
    ),
    col(
        "error_pct",
        "How far ours is above the published value, in percent of that.",
    ),
    col(
        "fitted",
        "Whether a constant was fitted on this value: true, or false if predicted.",
    ),
    col(
        "source",
        "Where the published value is from, and how ours was corrected.",
    ),
];

const fn col(name: &'static str, about: &'static str) -> Column {
    Column { name, about }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        vec![
            label(&self.target),
            label(&self.series),
            cells::number(Some(self.x)),
            label(&self.quantity),
            label(&self.unit),
            cells::number(Some(self.published)),
            cells::number(self.ours),
            cells::number(self.error_pct),
            self.fitted.to_string(),
            label(&self.source),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, Error> {
        Ok(Self {
            target: cells.text(),
            series: cells.text(),
            x: cells.required_number()?,
            quantity: cells.text(),
            unit: cells.text(),
            published: cells.required_number()?,
            ours: cells.number()?,
            error_pct: cells.number()?,
            fitted: match cells.text().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(cells.wrong("column `fitted` is true or false".into())),
            },
            source: cells.text(),
        })
    }
}

/// The file's bytes.
pub fn print(rows: &[Row]) -> Vec<u8> {
    let header = COLUMNS
        .iter()
        .map(|column| column.name.to_owned())
        .collect();
    cells::print(std::iter::once(header).chain(rows.iter().map(Row::cells)))
}

/// Reads the file of a folder; nothing if there is none.
///
/// # Errors
/// If there is one that cannot be read or is malformed.
pub fn read_dir(dir: &Path) -> Result<Option<Vec<Row>>, Error> {
    let path = dir.join(FILE);
    let Some(bytes) = store::get(&path)? else {
        return Ok(None);
    };
    let (_, rows) = cells::parse(&path, &bytes, COLUMNS, Row::read)?;
    Ok(Some(rows))
}
