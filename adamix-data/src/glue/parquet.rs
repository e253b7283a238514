//! The Parquet files of the Hugging Face `glue` data set: texts, an integer `label` (or STS-B's float), `idx`.

use std::fmt::Display;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use parquet::data_type::AsBytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use crate::error::DataError;
use crate::example::{Example, Rows, Target};
use crate::rows::target;
use crate::source::{MAX_LINE_BYTES, fingerprint, io};
use crate::split::Split;
use crate::task::{Columns, Task};

/// The columns the data set uses where they differ from the official TSV files.
fn columns(task: &Task) -> Columns {
    match task.name.as_str() {
        "mnli" | "ax" => Columns::new("premise", Some("hypothesis"), "label"),
        "mrpc" | "stsb" => Columns::new("sentence1", Some("sentence2"), "label"),
        "qqp" => Columns::new("question1", Some("question2"), "label"),
        _ => task.columns.clone(),
    }
}

/// Reads the shards of a split in order.
pub(super) fn read(task: &Task, shards: &[PathBuf], split: Split) -> Result<Rows, DataError> {
    let mut examples = Vec::new();
    for path in shards {
        // The Parquet reader panics on some damaged pages; to the caller they are damage like any other.
        let read = AssertUnwindSafe(|| read_shard(task, path, split, &mut examples));
        std::panic::catch_unwind(read)
            .unwrap_or_else(|_| Err(unreadable(path, &"a page is damaged")))?;
    }
    if examples.is_empty() {
        return Err(DataError::Empty {
            path: shards[0].clone(),
        });
    }
    Ok(Rows {
        examples,
        hash: fingerprint(shards)?,
        files: shards.to_vec(),
    })
}

fn read_shard(
    task: &Task,
    path: &Path,
    split: Split,
    examples: &mut Vec<Example>,
) -> Result<(), DataError> {
    let broken = |error: ParquetError| unreadable(path, &error);
    let file = File::open(path).map_err(|source| io(path, source))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema().clone();
    let wanted = columns(task);
    let present: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
    let mut names = vec![wanted.first.as_str()];
    names.extend(wanted.second.as_deref());
    let labelled = present.contains(&wanted.label.as_str()) || !split.may_lack_labels();
    if labelled {
        names.push(&wanted.label);
    }
    let mut fields = Vec::new();
    for name in &names {
        let at = crate::rows::column(&present, name, path)?;
        fields.push(schema.get_fields()[at].clone());
    }
    let projection = Type::group_type_builder(schema.name())
        .with_fields(fields)
        .build()
        .map_err(broken)?;
    let rows = reader.get_row_iter(Some(projection)).map_err(broken)?;
    for (n, row) in rows.enumerate() {
        let row = row.map_err(broken)?;
        let line = n + 1;
        let target = match labelled.then(|| cell(&row, &wanted.label)).flatten() {
            None | Some(Field::Null) => Target::Unknown,
            // The test files' placeholder.
            Some(label) if split.may_lack_labels() && is_minus_one(label) => Target::Unknown,
            Some(label) => target(task, &plain(label), path, line)?,
        };
        if target == Target::Unknown && !split.may_lack_labels() {
            return Err(DataError::Label {
                path: path.into(),
                line,
                value: "null".into(),
                allowed: task.labels.join(", "),
            });
        }
        examples.push(Example {
            id: examples.len() as u32,
            first: text(&row, &wanted.first, path, line)?,
            second: wanted
                .second
                .as_deref()
                .map(|name| text(&row, name, path, line))
                .transpose()?,
            target,
        });
    }
    Ok(())
}

fn unreadable(path: &Path, error: &dyn Display) -> DataError {
    DataError::File {
        path: path.into(),
        message: format!(
            "not a readable Parquet file ({error}); download it again, or write it with snappy, gzip or no compression"
        ),
    }
}

fn cell<'a>(row: &'a Row, name: &str) -> Option<&'a Field> {
    row.get_column_iter()
        .find(|(column, _)| *column == name)
        .map(|(_, field)| field)
}

fn is_minus_one(label: &Field) -> bool {
    plain(label).parse() == Ok(-1.0f64)
}

/// A label as a text file would hold it.
fn plain(label: &Field) -> String {
    match label {
        Field::Str(text) => text.clone(),
        Field::Byte(n) => n.to_string(),
        Field::Short(n) => n.to_string(),
        Field::Int(n) => n.to_string(),
        Field::Long(n) => n.to_string(),
        Field::UInt(n) => n.to_string(),
        Field::ULong(n) => n.to_string(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        other => other.to_string(),
    }
}

fn text(row: &Row, name: &str, path: &Path, line: usize) -> Result<String, DataError> {
    let wrong = |message: String| DataError::Row {
        path: path.into(),
        line,
        message,
    };
    let text = match cell(row, name) {
        Some(Field::Str(text)) => text.clone(),
        Some(Field::Bytes(bytes)) => String::from_utf8(bytes.as_bytes().to_vec())
            .map_err(|_| wrong(format!("column `{name}` holds invalid UTF-8")))?,
        other => {
            return Err(wrong(format!(
                "column `{name}` holds {} where a string is needed",
                other.map_or("nothing".into(), ToString::to_string)
            )));
        }
    };
    if text.len() > MAX_LINE_BYTES {
        return Err(wrong(format!(
            "column `{name}` is longer than {MAX_LINE_BYTES} bytes"
        )));
    }
    Ok(text)
}
