//! One labelled row, and a split's worth of them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One row of a data set: a text or a pair of texts, and what is to be predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The 0-based row of its file. It names the example in predictions, traces and random keys.
    pub id: u32,
    /// The text, or the first of the pair.
    pub first: String,
    /// The second text of a pair.
    pub second: Option<String>,
    /// What is to be predicted.
    pub target: Target,
}

/// What is to be predicted for one example; also the form of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Index into the task's labels.
    Class(u32),
    /// The value of a regression task.
    Score(f32),
    /// Not given, as in official test files.
    Unknown,
}

impl Target {
    /// The class index, if this is one.
    pub fn class(self) -> Option<u32> {
        match self {
            Self::Class(class) => Some(class),
            _ => None,
        }
    }

    /// The score, if this is one.
    pub fn score(self) -> Option<f32> {
        match self {
            Self::Score(score) => Some(score),
            _ => None,
        }
    }
}

/// The rows of one split, with what they were read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The examples in file order.
    pub examples: Vec<Example>,
    /// Content hash of `files` (see [`crate::fingerprint`]): the data's part of a run's identity.
    pub hash: String,
    /// The files the rows came from.
    pub files: Vec<PathBuf>,
}
