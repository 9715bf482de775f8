//! The study as a CSV file, to and from bytes.

use super::Row;
use crate::study::table;

/// The file of rows; a folder that has it holds this study.
pub const ROWS: &str = "tolerance.csv";

/// The files by name.
pub fn files(rows: &[Row]) -> Vec<(String, Vec<u8>)> {
    vec![(ROWS.to_owned(), table::encode(rows))]
}

/// The rows from the bytes of their file.
///
/// # Errors
/// If the file is not as written; says why.
pub fn read(bytes: Option<Vec<u8>>) -> Result<Vec<Row>, String> {
    table::decode(ROWS, bytes)
}
