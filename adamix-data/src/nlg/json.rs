//! JSON files, with the line of what is wrong in them.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::error::DataError;
use crate::source::TextFile;

/// Reads a file in memory into `T`.
pub(super) fn parse<T: DeserializeOwned>(file: &TextFile, expected: &str) -> Result<T, DataError> {
    serde_json::from_str(&file.text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let place = format!(" at line {line} column {column}");
        let what = error.to_string().replace(&place, "");
        file.row(
            line.max(1),
            format!("column {column}: {what}; expected {expected}"),
        )
    })
}

/// A text that somebody wrote, which is not empty.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom("the text is empty; take it out"));
    }
    Ok(text)
}

/// The triples of an entry, one at least: a text about nothing teaches nothing.
pub(super) fn triples<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let triples: Vec<T> = Vec::deserialize(deserializer)?;
    if triples.is_empty() {
        return Err(D::Error::custom("an entry without triples; take it out"));
    }
    Ok(triples)
}
