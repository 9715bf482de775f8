//! The study as CSV files, to and from bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Study;

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

fn encode<T: Serialize>(rows: &[T]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("plain rows can be written");
    }
    writer.into_inner().expect("memory takes what is written")
}

fn decode<T: DeserializeOwned>(name: &str, bytes: Option<Vec<u8>>) -> Result<Vec<T>, String> {
    let bytes = bytes.unwrap_or_default();
    let rows = csv::Reader::from_reader(&bytes[..]).into_deserialize();
    rows.collect::<Result<Vec<T>, _>>()
        .map_err(|error| format!("{name}: {error}"))
}
