//! GLUE tasks from the folders people have: the official TSV files, or the Parquet files of the
//! Hugging Face `glue` data set. The layout is detected.

mod msr;
mod parquet;
mod shards;
mod tsv;

use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::example::Rows;
use crate::source::io;
use crate::split::Split;
use crate::task::Task;

/// Loads a split of a GLUE task, or of a user's task whose files are named `train.tsv`, `dev.tsv`, `test.tsv`
/// (or as the Hugging Face Parquet files) and have a header with the task's columns.
///
/// `folder` holds the files themselves, or is a root with a folder for each task (`MRPC`, `mrpc`, ...).
/// A test or diagnostic file without labels gives [`Target::Unknown`](crate::Target::Unknown).
///
/// # Errors
/// [`DataError::MissingSplit`] if no file of the split is there; otherwise what is wrong with the file, by line.
pub fn load(task: &Task, folder: &Path, split: Split) -> Result<Rows, DataError> {
    std::fs::read_dir(folder).map_err(|source| io(folder, source))?;
    let mut places = vec![folder.to_path_buf()];
    places.extend(task.folders.iter().map(|name| folder.join(name)));
    for place in places.iter().filter(|place| place.is_dir()) {
        let shards = shards::find(place, parquet_stems(split))?;
        if !shards.is_empty() {
            return parquet::read(task, &shards, split);
        }
        if let Some(file) = tsv_file(task, place, split) {
            return tsv::read(task, &file, split);
        }
        if task.name == "mrpc"
            && let Some(files) = msr::find(place, split)
        {
            return msr::read(task, &files, split);
        }
    }
    let mut looked: Vec<String> = tsv_names(task, split).map(String::from).collect();
    looked.extend(
        parquet_stems(split)
            .iter()
            .map(|s| format!("{s}-*.parquet")),
    );
    Err(DataError::MissingSplit {
        folder: folder.into(),
        task: task.name.clone(),
        split: split.to_string(),
        looked: format!(
            "{} here and in {}",
            looked.join(", "),
            task.folders.join("/, ") + "/"
        ),
    })
}

/// The names a split's official TSV file goes by.
fn tsv_names(task: &Task, split: Split) -> impl Iterator<Item = &'static str> {
    let two_sets = task.dev_splits.contains(&Split::DevMismatched);
    let names: &[&str] = match split {
        Split::Train => &["train.tsv"],
        Split::Dev if two_sets => &["dev_matched.tsv"],
        Split::Dev => &["dev.tsv"],
        Split::DevMismatched => &["dev_mismatched.tsv"],
        Split::Test if two_sets => &["test_matched.tsv"],
        Split::Test => &["test.tsv"],
        Split::TestMismatched => &["test_mismatched.tsv"],
        Split::Diagnostic => &["diagnostic.tsv"],
    };
    names.iter().copied()
}

fn tsv_file(task: &Task, folder: &Path, split: Split) -> Option<PathBuf> {
    tsv_names(task, split)
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// The file stems the Hugging Face data set uses for a split.
fn parquet_stems(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Dev => &["validation", "validation_matched"],
        Split::DevMismatched => &["validation_mismatched"],
        Split::Test => &["test", "test_matched"],
        Split::TestMismatched => &["test_mismatched"],
        // The diagnostic configuration has one split, named `test`.
        Split::Diagnostic => &["test"],
    }
}
