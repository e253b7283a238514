//! A task of one's own.

use serde::{Deserialize, Serialize};

/// The columns of a task of one's own, in `train.*` and `dev.*` of the data folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {
    /// The column of the text, or of the first of a pair.
    pub first: String,
    /// The column of the second text; empty for none.
    pub second: String,
    /// The column of the label.
    pub label: String,
    /// Class names in order; empty for a regression.
    pub labels: Vec<String>,
}
