//! A user's own table with named columns: TSV, CSV or JSON lines.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::delimited::{self, Record};
use crate::error::DataError;
use crate::example::{Example, Rows, Target};
use crate::rows::{column, target};
use crate::source::{TextFile, combine};
use crate::task::{Columns, Task};

/// How a table's cells are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A header, cells between tabs, quotes literal, as in the GLUE files.
    Tsv,
    /// A header, cells between commas, quotes as in RFC 4180.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// The format of a file's extension: `tsv`, `csv`, `jsonl` (or `ndjson`).
    ///
    /// # Errors
    /// [`DataError::File`] for any other.
    pub fn of(path: &Path) -> Result<Self, DataError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "tsv" => Ok(Self::Tsv),
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            _ => Err(DataError::File {
                path: path.into(),
                message:
                    "unknown extension; name the file .tsv, .csv or .jsonl, or give its format"
                        .into(),
            }),
        }
    }
}

/// Which file, and which of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The file.
    pub file: PathBuf,
    /// Its format; by the extension where absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// Column of the text, or of the first text of a pair.
    pub first: String,
    /// Column of the second text.
    #[serde(default)]
    pub second: Option<String>,
    /// Column of the label; without one every target is unknown.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether the second text and the label may be missing, from the file or from a row.
    #[serde(default)]
    pub lenient: bool,
}

impl TableSpec {
    /// A labelled table with a task's columns, all of which must be there.
    pub fn new(file: impl Into<PathBuf>, columns: &Columns) -> Self {
        Self {
            file: file.into(),
            format: None,
            first: columns.first.clone(),
            second: columns.second.clone(),
            label: Some(columns.label.clone()),
            lenient: false,
        }
    }

    /// Input to predict on: `sentence1`, and where they are given `sentence2` and `label`.
    pub fn to_predict(file: impl Into<PathBuf>) -> Self {
        Self {
            lenient: true,
            ..Self::new(file, &Columns::new("sentence1", Some("sentence2"), "label"))
        }
    }

    /// Reads the table for a task. Ids count the rows from 0; blank lines are no rows.
    ///
    /// # Errors
    /// What is wrong with the file, by line and column; a file without rows is an error.
    pub fn load(&self, task: &Task) -> Result<Rows, DataError> {
        let (hash, rows) = self.read()?;
        let mut examples = Vec::with_capacity(rows.len());
        for (id, row) in rows.into_iter().enumerate() {
            let target = match row.label {
                Some(label) => target(task, &label, &self.file, row.line)?,
                None => Target::Unknown,
            };
            examples.push(Example {
                id: id as u32,
                first: row.first,
                second: row.second,
                target,
            });
        }
        Ok(Rows {
            examples,
            hash,
            files: vec![self.file.clone()],
        })
    }

    fn read(&self) -> Result<(String, Vec<RawRow>), DataError> {
        let format = match self.format {
            Some(format) => format,
            None => Format::of(&self.file)?,
        };
        let file = TextFile::read(&self.file)?;
        let rows = match format {
            Format::Tsv => self.tsv(&file)?,
            Format::Csv => self.csv(&file)?,
            Format::Jsonl => self.jsonl(&file)?,
        };
        if rows.is_empty() {
            return Err(DataError::Empty {
                path: self.file.clone(),
            });
        }
        Ok((combine(&[file.hash]), rows))
    }

    fn tsv(&self, file: &TextFile) -> Result<Vec<RawRow>, DataError> {
        let mut lines = file.lines().filter(|(_, line)| !line.is_empty());
        let Some((_, header)) = lines.next() else {
            return Ok(Vec::new());
        };
        let header: Vec<&str> = header.split('\t').collect();
        let places = self.places(&header)?;
        let row = |(line, content): (usize, &str)| {
            let cells: Vec<&str> = content.split('\t').collect();
            self.row(file, &header, &cells, &places, line)
        };
        lines.map(row).collect()
    }

    fn csv(&self, file: &TextFile) -> Result<Vec<RawRow>, DataError> {
        let records = delimited::records(&file.text, ',')
            .map_err(|open| file.row(open.line, format!("not CSV: {open}")))?;
        let Some((header, rows)) = records.split_first() else {
            return Ok(Vec::new());
        };
        let header: Vec<&str> = header.fields.iter().map(String::as_str).collect();
        let places = self.places(&header)?;
        let row = |record: &Record| {
            let cells: Vec<&str> = record.fields.iter().map(String::as_str).collect();
            self.row(file, &header, &cells, &places, record.line)
        };
        rows.iter().map(row).collect()
    }

    fn jsonl(&self, file: &TextFile) -> Result<Vec<RawRow>, DataError> {
        let mut rows = Vec::new();
        for (line, content) in file.lines().filter(|(_, line)| !line.trim().is_empty()) {
            let object: Map<String, Value> = serde_json::from_str(content).map_err(|error| {
                file.row(line, format!("expected one JSON object a line: {error}"))
            })?;
            let cell = |name: &str, required: bool, number: bool| match object.get(name) {
                None | Some(Value::Null) if !required => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(Value::Number(n)) if number => Ok(Some(n.to_string())),
                Some(Value::Bool(b)) if number => Ok(Some(b.to_string())),
                None => {
                    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                    let found = keys.join(", ");
                    Err(file.row(
                        line,
                        format!("no key `{name}`; the keys found are: {found}"),
                    ))
                }
                Some(other) => {
                    let wanted = if number {
                        "a string or number"
                    } else {
                        "a string"
                    };
                    Err(file.row(
                        line,
                        format!("key `{name}` holds {other}; expected {wanted}"),
                    ))
                }
            };
            let optional = |name: &Option<String>, number| match name {
                Some(name) => cell(name, !self.lenient, number),
                None => Ok(None),
            };
            rows.push(RawRow {
                line,
                first: cell(&self.first, true, false)?.unwrap_or_default(),
                second: optional(&self.second, false)?,
                label: optional(&self.label, true)?,
            });
        }
        Ok(rows)
    }

    /// The places of first text, second text and label in a header.
    fn places(&self, header: &[&str]) -> Result<[Option<usize>; 3], DataError> {
        let optional = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => match column(header, name, &self.file) {
                Err(_) if self.lenient => Ok(None),
                found => found.map(Some),
            },
        };
        Ok([
            Some(column(header, &self.first, &self.file)?),
            optional(&self.second)?,
            optional(&self.label)?,
        ])
    }

    fn row(
        &self,
        file: &TextFile,
        header: &[&str],
        cells: &[&str],
        places: &[Option<usize>; 3],
        line: usize,
    ) -> Result<RawRow, DataError> {
        // A cell too few or too many means that texts may stand under the wrong column.
        if cells.len() != header.len() {
            let message = format!(
                "{} cells under {} columns; a text may hold an unescaped separator or line break",
                cells.len(),
                header.len()
            );
            return Err(file.row(line, message));
        }
        let [first, second, label] = places.map(|place| place.map(|at| cells[at].to_owned()));
        let given = |cell: &String| !(self.lenient && cell.is_empty());
        Ok(RawRow {
            line,
            first: first.unwrap_or_default(),
            second: second.filter(given),
            label: label.filter(given),
        })
    }
}

/// A row before its label is understood.
struct RawRow {
    line: usize,
    first: String,
    second: Option<String>,
    label: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn topics() -> Task {
        let columns = Columns::new("text", None, "topic");
        Task::classification("news", vec!["sport".into(), "world".into()], columns).unwrap()
    }

    fn error(name: &str, content: &str) -> String {
        let (_folder, path) = write(name, content.as_bytes());
        let task = topics();
        let error = TableSpec::new(path, &task.columns).load(&task).unwrap_err();
        let text = error.to_string();
        text[text.find(name).expect("the error names the file")..].to_owned()
    }

    #[test]
    fn the_three_formats_hold_the_same_rows() {
        let task = topics();
        for (name, content) in [
            (
                "a.tsv",
                "\u{feff}topic\ttext\nsport\tShe \"won\"\n\nworld\tThey, too\n",
            ),
            (
                "a.csv",
                "topic,text\r\nsport,\"She \"\"won\"\"\"\r\nworld,\"They, too\"\r\n",
            ),
            (
                "a.jsonl",
                "{\"text\":\"She \\\"won\\\"\",\"topic\":\"sport\"}\n{\"topic\":1,\"text\":\"They, too\"}\n",
            ),
        ] {
            let (_folder, path) = write(name, content.as_bytes());
            let rows = TableSpec::new(path, &task.columns).load(&task).unwrap();
            let found: Vec<_> = rows
                .examples
                .iter()
                .map(|e| (e.id, e.first.as_str(), e.target))
                .collect();
            assert_eq!(
                found,
                [
                    (0, "She \"won\"", Target::Class(0)),
                    (1, "They, too", Target::Class(1))
                ],
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_to_be_predicted_needs_one_text_only() {
        let content = "{\"sentence1\":\"a\"}\n{\"sentence1\":\"b\",\"sentence2\":\"c\",\"label\":\"equivalent\"}\n{\"sentence1\":\"d\",\"label\":null}\n";
        let (_folder, path) = write("in.jsonl", content.as_bytes());
        let task = Task::by_name("mrpc").unwrap();
        let rows = TableSpec::to_predict(path).load(task).unwrap().examples;
        let targets: Vec<Target> = rows.iter().map(|e| e.target).collect();
        assert_eq!(
            targets,
            [Target::Unknown, Target::Class(1), Target::Unknown]
        );
        assert_eq!(rows[1].second.as_deref(), Some("c"));
        assert_eq!(rows[2].second, None);
        // An empty cell is nothing given, as an absent key is.
        for (name, content) in [
            ("in.csv", "sentence1,sentence2,label\na,b,\nc,,\n"),
            ("in.tsv", "sentence1\tsentence2\tlabel\na\tb\t\nc\t\t\n"),
        ] {
            let (_folder, path) = write(name, content.as_bytes());
            let rows = TableSpec::to_predict(path).load(task).unwrap().examples;
            let texts: Vec<_> = rows.iter().map(|e| e.second.as_deref()).collect();
            assert_eq!(texts, [Some("b"), None], "{name}");
        }
    }

    #[test]
    fn errors_name_file_line_and_column() {
        for (name, content, expected) in [
            (
                "e.tsv",
                "text\tlabel\nx\ty\n",
                "e.tsv: no column `topic`; the columns found are: text, label",
            ),
            (
                "e.tsv",
                "text\ttopic\nx\tsport\ny\tart\n",
                "e.tsv:3: unknown label `art`; allowed: sport, world (or 0 to 1)",
            ),
            (
                "e.tsv",
                "text\ttopic\nx\n",
                "e.tsv:2: 1 cells under 2 columns",
            ),
            (
                "e.csv",
                "text,topic\n\"a\nb\",sport\nc,sport,d\n",
                "e.csv:4: 3 cells under 2 columns",
            ),
            (
                "e.csv",
                "text,topic\r\n\r\nx,art\r\n",
                "e.csv:3: unknown label `art`",
            ),
            (
                "e.csv",
                "text,topic\nx,sport\n\"y,world\nz,sport\n",
                "e.csv:3: not CSV: a quotation mark opens a field here and is never closed",
            ),
            ("e.csv", "", "e.csv: the file has no rows"),
            ("e.tsv", "text\ttopic\n", "e.tsv: the file has no rows"),
            (
                "e.jsonl",
                "{\"text\":\"x\"}\n",
                "e.jsonl:1: no key `topic`; the keys found are: text",
            ),
            (
                "e.jsonl",
                "\n{\"text\":3,\"topic\":\"sport\"}\n",
                "e.jsonl:2: key `text` holds 3; expected a string",
            ),
            (
                "e.jsonl",
                "[1]\n",
                "e.jsonl:1: expected one JSON object a line",
            ),
            ("e.txt", "text\n", "e.txt: unknown extension"),
        ] {
            let found = error(name, content);
            assert!(found.starts_with(expected), "{found}\nexpected {expected}");
            assert!(!found.contains('\n'), "one line: {found}");
        }
        let (_folder, path) = write("u.csv", b"text,topic\nx,sport\n\xff,sport\n");
        let task = topics();
        let found = TableSpec::new(path, &task.columns)
            .load(&task)
            .unwrap_err()
            .to_string();
        assert!(found.contains("u.csv:3: invalid UTF-8"), "{found}");
    }

    #[test]
    fn a_regression_label_is_a_finite_number() {
        let task = Task::regression("sim", Columns::new("text", None, "score"));
        let (_folder, path) = write("a.csv", b"text,score\nx,2.5\ny,nan\n");
        let found = TableSpec::new(path, &task.columns)
            .load(&task)
            .unwrap_err()
            .to_string();
        assert!(
            found.ends_with("a.csv:3: unknown label `nan`; allowed: a finite number"),
            "{found}"
        );
    }
}
