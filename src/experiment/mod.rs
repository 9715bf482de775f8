//! Many runs: what each left behind as rows, the statistics over seeds, and files that appear
//! whole or not at all.

pub mod manifest;
pub mod plan;
pub mod record;
pub mod reproduce;
pub mod stats;
pub mod store;
pub mod sweep;
pub mod table;

mod cells;

use std::path::PathBuf;

use crate::sim::limit::Exhausted;

/// Why results could not be written or read. Names the file, and the line where there is one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Its answer.
        source: std::io::Error,
    },
    /// Another process writes there.
    #[error("cannot write into {}: another process does just now", .0.display())]
    Held(PathBuf),
    /// A file of results begins with other columns than it should.
    #[error("{}:1: expected the columns `{expected}`, found `{found}`", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// The columns it should begin with.
        expected: String,
        /// Its first line.
        found: String,
    },
    /// A line of results cannot be read.
    #[error("{}:{line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: u64,
        /// What is wrong, as a sentence without a full stop.
        reason: String,
    },
    /// The manifest cannot be read.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A run takes more than it may.
    #[error("{run}: {why}")]
    Exhausted {
        /// Which run.
        run: String,
        /// When, and what of.
        why: Exhausted,
    },
    /// One run appears twice, as when one shard is merged with itself.
    #[error("the run of {experiment}, point {point}, seed {seed} appears twice")]
    Twice {
        /// The experiment.
        experiment: String,
        /// The point.
        point: u64,
        /// The seed.
        seed: u64,
    },
}
