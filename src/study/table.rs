//! Rows of studies as CSV files.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Rows under a line with the names of their fields.
pub fn encode<T: Serialize>(rows: &[T]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("plain rows can be written");
    }
    writer.into_inner().expect("memory takes what is written")
}

/// Reads what [`encode`] wrote; no rows if there is no file.
///
/// # Errors
/// If the file is not as written; says which, and why.
pub fn decode<T: DeserializeOwned>(name: &str, bytes: Option<Vec<u8>>) -> Result<Vec<T>, String> {
    let bytes = bytes.unwrap_or_default();
    let rows = csv::Reader::from_reader(&bytes[..]).into_deserialize();
    rows.collect::<Result<Vec<T>, _>>()
        .map_err(|error| format!("{name}: {error}"))
}
