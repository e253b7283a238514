//! What is measured.

use adamix_core::routing::Inference;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Examples a batch.
    pub batch_size: usize,
    /// `native` (the policy's own) or a mode by name.
    pub inference: InferenceChoice,
    /// Lower bound on a regression's outputs, such as 0 in the released RoBERTa code; `none` for no bound.
    pub regression_floor: RegressionFloor,
}

/// How the trained mixture is run when it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InferenceChoice {
    /// As the routing policy says.
    Native,
    /// Experts averaged.
    Merged,
    /// Random experts, per example.
    Random,
    /// The first expert.
    Fixed,
    /// Mean logits of the diagonal paths.
    Ensemble,
}

impl InferenceChoice {
    /// The mode, with the policy's own for `native`.
    pub fn resolve(self, native: Inference) -> Inference {
        match self {
            Self::Native => native,
            Self::Merged => Inference::Merged,
            Self::Random => Inference::Random,
            Self::Fixed => Inference::Fixed,
            Self::Ensemble => Inference::Ensemble,
        }
    }
}

/// Lower bound on a regression's outputs in evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegressionFloor {
    /// No bound.
    None,
    /// Zero.
    Zero,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            batch_size: 64,
            inference: InferenceChoice::Native,
            regression_floor: RegressionFloor::None,
        }
    }
}
