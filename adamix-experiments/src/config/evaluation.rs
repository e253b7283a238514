//! What is measured.

use adamix_core::routing::Inference;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// After which epochs the development rows are measured.
    pub after: MeasuredAfter,
    /// Examples a batch.
    pub batch_size: usize,
    /// `native` (the policy's own) or a mode by name.
    pub inference: InferenceChoice,
    /// Random paths of `random-ensemble` and `monte-carlo`.
    pub paths: usize,
    /// Lower bound on a regression's outputs, such as 0 in the released RoBERTa code; `none` for no bound.
    pub regression_floor: RegressionFloor,
}

/// After which epochs the development rows are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeasuredAfter {
    /// Each: the best of them is kept beside the last.
    Each,
    /// The last alone, as where there is no development set to choose by; best and last are the same.
    Last,
}

/// How the trained mixture is run when it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceChoice {
    /// As the routing policy says.
    Native,
    /// Experts merged into one module.
    Merged,
    /// As the routing policy decides, without its training noise.
    Routed,
    /// Random experts for each example, side and layer.
    Random,
    /// Always the first expert.
    Fixed,
    /// Mean logits of the M diagonal paths: expert i in every layer.
    Ensemble,
    /// Mean logits of random paths: an expert for each side and layer.
    RandomEnsemble,
    /// Mean probabilities of random paths, with how uncertain they are.
    MonteCarlo,
}

impl InferenceChoice {
    /// The mode, with the policy's own for `native`.
    pub fn resolve(self, native: Inference) -> Inference {
        match self {
            Self::Native => native,
            Self::Merged => Inference::Merged,
            Self::Routed => Inference::Routed,
            Self::Random => Inference::Random,
            Self::Fixed => Inference::Fixed,
            Self::Ensemble => Inference::Ensemble,
            Self::RandomEnsemble => Inference::RandomEnsemble,
            Self::MonteCarlo => Inference::MonteCarlo,
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

impl RegressionFloor {
    /// An output, bounded.
    pub fn of(self, output: f32) -> f32 {
        match self {
            Self::None => output,
            Self::Zero => output.max(0.0),
        }
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            after: MeasuredAfter::Each,
            batch_size: 64,
            inference: InferenceChoice::Native,
            paths: 16,
            regression_floor: RegressionFloor::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_bounds_from_below() {
        let floored = [-0.5, 2.0].map(|output| RegressionFloor::Zero.of(output));
        assert_eq!(floored, [0.0, 2.0]);
        assert_eq!(RegressionFloor::None.of(-0.5), -0.5);
    }
}
