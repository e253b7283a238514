//! Which epoch of a run counts.

use serde::{Deserialize, Serialize};

/// Which epoch a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The best on the development split that is reported, as the paper: optimistic.
    Best,
    /// The last, whatever it is.
    Last,
}

impl Rule {
    /// In a caption.
    pub fn caption(self) -> &'static str {
        match self {
            Self::Best => {
                "Scores are of the best epoch on the development rows that they are reported on, as in the paper, which is optimistic."
            }
            Self::Last => {
                "Scores are of the last epoch; nothing is selected on the rows that are reported. The best epoch is in the CSV."
            }
        }
    }

    /// `best` or `last`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Last => "last",
        }
    }
}
