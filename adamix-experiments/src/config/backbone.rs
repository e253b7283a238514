//! The frozen model under the adaptation.

use adamix_models::encoder::Pooling;
use serde::{Deserialize, Serialize};

/// The frozen model under the adaptation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backbone {
    /// How a sequence becomes one vector.
    pub pooling: Pooling,
    /// Whether BERT's pooler is trained with the head.
    pub train_pooler: bool,
    /// Every dropout of backbone and head while training.
    pub dropout: f64,
    /// What the weights of its frozen maps are stored in while the run computes.
    pub precision: Precision,
}

/// What the weights of frozen maps are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// The upper halves of these: half the memory. Sums stay in 32 bits.
    Bf16,
}

impl Precision {
    /// Whether frozen maps are stored in half their size.
    pub fn halves(self) -> bool {
        self == Self::Bf16
    }
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            pooling: Pooling::Pooler,
            train_pooler: false,
            dropout: 0.1,
            precision: Precision::F32,
        }
    }
}
