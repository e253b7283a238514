//! What can be wrong with the data a user brings, each case with its place and a remedy.

use std::path::PathBuf;

/// An error of reading or preparing data. Its message is one line: `path:line: what, and what to do`.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file holds no row.
    #[error("{}: the file has no rows; give a file with at least one example", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file lacks a column.
    #[error("{}: no column `{column}`; the columns found are: {found}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column that was looked for.
        column: String,
        /// The columns the file has, joined by commas.
        found: String,
    },
    /// A row has a label the task does not know.
    #[error("{}:{line}: unknown label `{value}`; allowed: {allowed}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Line of a text file, or row of a Parquet file, counted from 1.
        line: usize,
        /// The label as written.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
    /// A row cannot be understood.
    #[error("{}:{line}: {message}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line of a text file, or row of a Parquet file, counted from 1.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// A whole file cannot be understood.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// A folder holds none of the files a split of a task is known under.
    #[error("{}: no `{split}` file of task `{task}`; looked for {looked}", folder.display())]
    MissingSplit {
        /// The folder that was searched.
        folder: PathBuf,
        /// The task.
        task: String,
        /// The split.
        split: String,
        /// The names that were looked for.
        looked: String,
    },
    /// No built-in task has this name.
    #[error("unknown task `{name}`; known tasks: {known}")]
    UnknownTask {
        /// The name as given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A task's definition contradicts itself.
    #[error("task `{name}`: {message}")]
    Task {
        /// The task.
        name: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A pair of a generation data set cannot be learnt from.
    #[error("pair {id}, counted from 0 in the order of the split's files: {message}")]
    Pair {
        /// The pair's place.
        id: u32,
        /// What is wrong and what to do.
        message: String,
    },
    /// A tokenizer folder or file is missing, broken or unfit, or a text could not be encoded.
    #[error("{}: {message}", path.display())]
    Tokenizer {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
}
