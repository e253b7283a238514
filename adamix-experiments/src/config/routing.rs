//! Who goes where.

use serde::{Deserialize, Serialize};

/// Who goes where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// A policy's name.
    pub policy: String,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            policy: "stochastic".to_owned(),
        }
    }
}
