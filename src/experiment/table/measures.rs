//! The file of what only some protocols are measured by.

use super::super::cells;
use super::format::{Format, col};

/// One number, taken at something or not.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct MeasureRow {
    pub measure: String,
    pub at: Option<f64>,
    pub value: f64,
}

pub(super) const MEASURES: Format<MeasureRow> = Format {
    file: "measures.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col(
            "measure",
            "What was measured that only some protocols have.",
        ),
        col(
            "at",
            "What it was taken at: records moved, a chance in percent, or an epoch.",
        ),
        col("value", "The number."),
    ],
    cells: |row| {
        vec![
            row.measure.clone(),
            cells::number(row.at),
            cells::number(Some(row.value)),
        ]
    },
    read: |cells| {
        Ok(MeasureRow {
            measure: cells.text(),
            at: cells.number()?,
            value: cells.required_number()?,
        })
    },
};
