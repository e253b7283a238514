//! What can go wrong between files and scores.

use super::meteor::MeteorError;
use crate::error::DataError;
use std::path::PathBuf;

/// Why texts could not be scored. Every message names the file and line at fault.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not UTF-8.
    #[error("{} line {line}: byte {column} of the line is not valid UTF-8", path.display())]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: usize,
    },
    /// A file does not have the layout it should have.
    #[error("{} line {line}: {problem}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// References and outputs differ in number.
    #[error(
        "{} has {outputs} outputs but {} has {references} segments with references; \
         the shorter one ends at line {line}",
        outputs_path.display(), references_path.display()
    )]
    Count {
        /// The file with references.
        references_path: PathBuf,
        /// Its number of segments.
        references: usize,
        /// The file with outputs.
        outputs_path: PathBuf,
        /// Its number of outputs.
        outputs: usize,
        /// The last line of the file that has fewer.
        line: usize,
    },
    /// References that do not tell the parts of WebNLG apart, or hold nothing of one.
    #[error(
        "{} has no segments of that part; only WebNLG's own JSON and XML say whether training saw a category",
        path.display()
    )]
    Part {
        /// The file with references.
        path: PathBuf,
    },
    /// References and outputs in memory differ in number.
    #[error("{outputs} outputs but {references} segments with references")]
    Lengths {
        /// Number of segments with references.
        references: usize,
        /// Number of outputs.
        outputs: usize,
    },
    /// Two systems that were not given the same segments.
    #[error(
        "the two systems have {first} and {second} segments and differ from segment {segment} on; \
         give both the same ones in the same order"
    )]
    Systems {
        /// Segments of the first.
        first: usize,
        /// Segments of the second.
        second: usize,
        /// The first segment that differs, from 1.
        segment: usize,
    },
    /// A segment without any reference.
    #[error("segment {segment} has no reference")]
    NoReference {
        /// The segment, from 1.
        segment: usize,
    },
    /// There is nothing to score.
    #[error("there are no segments to score")]
    Empty,
    /// A data set's own file is at fault.
    #[error(transparent)]
    Data(#[from] DataError),
    /// METEOR alone was asked for, and cannot be computed.
    #[error(transparent)]
    Meteor(#[from] MeteorError),
}
