//! The files that tell the kinds of call apart: what became of each, and why some were refused.

use super::super::cells;
use super::format::{Format, col};

/// The calls of one kind in the measured window.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct CallRow {
    pub kind: String,
    pub submitted: u64,
    pub accepted: u64,
    pub refused: u64,
    pub goodput_tps: Option<f64>,
    pub latency_mean_ms: Option<f64>,
    pub latency_p50_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
}

/// How often one check refused calls of one kind in the measured window.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct RefusalRow {
    pub kind: String,
    pub code: String,
    pub count: u64,
    pub reason: String,
}

pub(super) const CALLS: Format<CallRow> = Format {
    file: "calls.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col("kind", "What the contract is asked to do."),
        col(
            "submitted",
            "Calls of this kind sent in the measured window.",
        ),
        col(
            "accepted",
            "Calls answered in the window that had an effect or found something.",
        ),
        col("refused", "Calls answered in the window by a refusal."),
        col(
            "goodput_tps",
            "Accepted calls per second of the measured window.",
        ),
        col(
            "latency_mean_ms",
            "Mean time from a call's first sending to its client's reply quorum.",
        ),
        col(
            "latency_p50_ms",
            "Half of them were answered within this time.",
        ),
        col(
            "latency_p99_ms",
            "99 % of them were answered within this time.",
        ),
    ],
    cells: |row| {
        vec![
            row.kind.clone(),
            row.submitted.to_string(),
            row.accepted.to_string(),
            row.refused.to_string(),
            cells::number(row.goodput_tps),
            cells::number(row.latency_mean_ms),
            cells::number(row.latency_p50_ms),
            cells::number(row.latency_p99_ms),
        ]
    },
    read: |cells| {
        Ok(CallRow {
            kind: cells.text(),
            submitted: cells.count()?,
            accepted: cells.count()?,
            refused: cells.count()?,
            goodput_tps: cells.number()?,
            latency_mean_ms: cells.number()?,
            latency_p50_ms: cells.number()?,
            latency_p99_ms: cells.number()?,
        })
    },
};

pub(super) const REFUSALS: Format<RefusalRow> = Format {
    file: "refusals.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col("kind", "What the contract was asked to do."),
        col("code", "The first check that failed, by its number."),
        col("count", "How often in the measured window."),
        col("reason", "The check by its name."),
    ],
    cells: |row| {
        vec![
            row.kind.clone(),
            row.code.clone(),
            row.count.to_string(),
            row.reason.clone(),
        ]
    },
    read: |cells| {
        Ok(RefusalRow {
            kind: cells.text(),
            code: cells.text(),
            count: cells.count()?,
            reason: cells.text(),
        })
    },
};
