//! How often a run saves where it is.

use serde::{Deserialize, Serialize};

/// How often a run saves where it is. No part of a run's id: nothing of it changes the outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// Optimiser steps between two checkpoints; 0 for none by steps.
    pub steps: usize,
    /// Minutes between two checkpoints; 0 for none by time.
    pub minutes: f64,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            steps: 0,
            minutes: 10.0,
        }
    }
}
