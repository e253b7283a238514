//! How many become one.

use serde::{Deserialize, Serialize};

/// How many become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Merging {
    /// A rule's name.
    pub rule: String,
}

impl Default for Merging {
    fn default() -> Self {
        Self {
            rule: "uniform".to_owned(),
        }
    }
}
