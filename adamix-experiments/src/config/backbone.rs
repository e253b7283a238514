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
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            pooling: Pooling::Pooler,
            train_pooler: false,
            dropout: 0.1,
        }
    }
}
