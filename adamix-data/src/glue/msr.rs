//! MRPC as Microsoft distributes it: `msr_paraphrase_train.txt` holds GLUE's train and dev rows together,
//! which `dev_ids.tsv` tells apart, and `msr_paraphrase_test.txt` holds the test rows with labels.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::tsv;
use crate::error::DataError;
use crate::example::Rows;
use crate::rows::column;
use crate::source::{TextFile, combine};
use crate::split::Split;
use crate::task::Task;

/// The files of a split in this layout, the rows' file first.
pub(super) fn find(folder: &Path, split: Split) -> Option<Vec<PathBuf>> {
    let names: &[&str] = match split {
        Split::Train | Split::Dev => &["msr_paraphrase_train.txt", "dev_ids.tsv"],
        Split::Test => &["msr_paraphrase_test.txt"],
        _ => return None,
    };
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    // Without `dev_ids.tsv` the file is still recognised, and reading it says what is missing.
    files[0].is_file().then_some(files)
}

/// Reads a split.
pub(super) fn read(task: &Task, files: &[PathBuf], split: Split) -> Result<Rows, DataError> {
    let mut rows = tsv::read(task, &files[0], split)?;
    let Some(ids) = files.get(1) else {
        return Ok(rows);
    };
    if !ids.is_file() {
        return Err(DataError::File {
            path: ids.clone(),
            message: "missing; it tells GLUE's dev rows from the train rows of msr_paraphrase_train.txt (GLUE's download has it)".into(),
        });
    }
    let ids = TextFile::read(ids)?;
    let mut dev = HashSet::new();
    for (line, content) in ids.lines().filter(|(_, line)| !line.is_empty()) {
        let pair = content.split_once('\t');
        dev.insert(pair.ok_or_else(|| ids.row(line, "expected two ids and a tab".into()))?);
    }
    let file = TextFile::read(&files[0])?;
    let mut lines = file.lines().filter(|(_, line)| !line.is_empty());
    let header: Vec<&str> = lines.next().map_or("", |(_, h)| h).split('\t').collect();
    let at = [
        column(&header, "#1 ID", &files[0])?,
        column(&header, "#2 ID", &files[0])?,
    ];
    let in_dev: Vec<bool> = lines
        .map(|(_, line)| {
            let cell = |n| line.split('\t').nth(n).unwrap_or_default();
            dev.contains(&(cell(at[0]), cell(at[1])))
        })
        .collect();
    rows.examples
        .retain(|example| in_dev[example.id as usize] == (split == Split::Dev));
    if rows.examples.is_empty() {
        return Err(DataError::Empty {
            path: files[0].clone(),
        });
    }
    rows.hash = combine(&[file.hash, ids.hash]);
    rows.files = files.to_vec();
    Ok(rows)
}
