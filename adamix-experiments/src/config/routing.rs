//! Who goes where.

use std::sync::Arc;

use adamix_core::options::Options;
use adamix_core::routing::{POLICIES, RoutingPolicy};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Who goes where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// A policy's name.
    pub policy: String,
    /// The policy's own settings.
    pub options: Options,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            policy: "stochastic".to_owned(),
            options: Options::NONE,
        }
    }
}

impl Routing {
    /// The policy.
    ///
    /// # Errors
    /// If there is none of that name, or it refuses an option.
    pub fn policy(&self) -> Result<Arc<dyn RoutingPolicy>> {
        let policy = POLICIES.make(&self.policy, &self.options);
        policy.context("`routing.policy`")
    }
}
