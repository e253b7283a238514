//! The parts a data set is divided into.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Rows to train on.
    Train,
    /// Rows to select on; MNLI's matched half.
    Dev,
    /// MNLI's second development set, from genres unseen in training.
    DevMismatched,
    /// Rows to report on; official GLUE test files carry no labels. MNLI's matched half.
    Test,
    /// MNLI's second test set.
    TestMismatched,
    /// GLUE's diagnostic set (AX), predicted with an MNLI model.
    Diagnostic,
}

impl Split {
    /// The name used in configuration and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::DevMismatched => "dev_mismatched",
            Self::Test => "test",
            Self::TestMismatched => "test_mismatched",
            Self::Diagnostic => "diagnostic",
        }
    }

    /// Whether the official files of this split come without labels.
    pub fn may_lack_labels(self) -> bool {
        matches!(self, Self::Test | Self::TestMismatched | Self::Diagnostic)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
