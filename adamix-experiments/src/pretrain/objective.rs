//! What a pretraining teaches.

use serde::{Deserialize, Serialize};

/// What the model learns to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Hidden tokens from all others: an encoder (RoBERTa if it is fresh).
    Masked,
    /// Each token from those before it: a decoder (GPT-2).
    Causal,
}
