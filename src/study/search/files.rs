//! The study as CSV files, to and from bytes.

use super::Study;
use crate::study::table::{decode, encode};

/// The file of findings; a folder that has it holds this study.
pub const FINDINGS: &str = "search.csv";
/// The file of floors.
pub const FLOORS: &str = "floors.csv";
/// The file of what depends on the machine.
pub const SPEEDS: &str = "speed.csv";

impl Study {
    /// The files by name.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        vec![
            (FINDINGS.to_owned(), encode(&self.findings)),
            (FLOORS.to_owned(), encode(&self.floors)),
            (SPEEDS.to_owned(), encode(&self.speeds)),
        ]
    }

    /// The study of which `file` tells the files by name. What was measured may be missing.
    ///
    /// # Errors
    /// If a file is not as written; says which, and why.
    pub fn read(file: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, String> {
        Ok(Self {
            findings: decode(FINDINGS, file(FINDINGS))?,
            floors: decode(FLOORS, file(FLOORS))?,
            speeds: decode(SPEEDS, file(SPEEDS))?,
        })
    }
}
