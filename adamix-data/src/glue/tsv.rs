//! The official GLUE TSV files: a header (but for CoLA's train and dev), no quoting, columns by name.

use std::path::Path;

use crate::error::DataError;
use crate::example::{Example, Rows, Target};
use crate::rows::{column, target};
use crate::source::{TextFile, combine};
use crate::split::Split;
use crate::task::Task;

/// Reads one official TSV file.
pub(super) fn read(task: &Task, path: &Path, split: Split) -> Result<Rows, DataError> {
    let file = TextFile::read(path)?;
    let mut lines = file.lines().filter(|(_, line)| !line.is_empty());
    let cola_without_header = task.name == "cola" && !split.may_lack_labels();
    let places = if cola_without_header {
        // source, label, the original author's mark, sentence
        Places {
            first: 3,
            second: None,
            label: Some(1),
        }
    } else {
        let header = lines.next().map_or("", |(_, line)| line);
        if header.is_empty() {
            return Err(DataError::Empty { path: path.into() });
        }
        Places::find(task, &header.split('\t').collect::<Vec<_>>(), path, split)?
    };

    let mut examples = Vec::new();
    for (id, (line, content)) in lines.enumerate() {
        let cells: Vec<&str> = content.split('\t').collect();
        if let Some(example) = places.example(task, &file, id as u32, line, &cells)? {
            examples.push(example);
        }
    }
    if examples.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(Rows {
        examples,
        hash: combine(&[file.hash]),
        files: vec![path.into()],
    })
}

/// Where the texts and the label stand in a row.
pub(super) struct Places {
    pub(super) first: usize,
    pub(super) second: Option<usize>,
    pub(super) label: Option<usize>,
}

impl Places {
    /// Finds a task's columns in a header. Only splits that may lack labels may lack the label column.
    pub(super) fn find(
        task: &Task,
        header: &[&str],
        path: &Path,
        split: Split,
    ) -> Result<Self, DataError> {
        let columns = &task.columns;
        let second = columns.second.as_deref();
        let label = column(header, &columns.label, path);
        Ok(Self {
            first: column(header, &columns.first, path)?,
            second: second.map(|name| column(header, name, path)).transpose()?,
            label: match label {
                Err(_) if split.may_lack_labels() => None,
                found => Some(found?),
            },
        })
    }

    /// The example of a row; `None` for a row that the Hugging Face data set leaves out too.
    fn example(
        &self,
        task: &Task,
        file: &TextFile,
        id: u32,
        line: usize,
        cells: &[&str],
    ) -> Result<Option<Example>, DataError> {
        let last = [Some(self.first), self.second, self.label];
        let needed = last.into_iter().flatten().max().unwrap_or(0) + 1;
        if cells.len() < needed {
            // The official QQP files hold questions broken over two lines; their parts are dropped.
            return if task.name == "qqp" {
                Ok(None)
            } else {
                Err(file.row(
                    line,
                    format!(
                        "found {} tab-separated columns where at least {needed} are needed; repair or remove the line",
                        cells.len()
                    ),
                ))
            };
        }
        let target = match self.label.map(|at| cells[at]) {
            None => Target::Unknown,
            // No gold label where annotators did not agree (MNLI), and QQP's broken rows.
            Some("-") if matches!(task.name.as_str(), "mnli" | "ax") => return Ok(None),
            Some("") if task.name == "qqp" => return Ok(None),
            Some(label) => target(task, label, &file.path, line)?,
        };
        Ok(Some(Example {
            id,
            first: cells[self.first].into(),
            second: self.second.map(|at| cells[at].into()),
            target,
        }))
    }
}
