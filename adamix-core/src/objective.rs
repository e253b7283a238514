//! The loss of a training step: the task's on the first pass, consistency between the two.

pub mod language_model;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::consistency::{RegressionConsistency, squared_distance, symmetric_kl};

/// What a batch's logits are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Class indices.
    Classes(Vec<u32>),
    /// Scores of a regression.
    Scores(Vec<f32>),
}

impl Targets {
    /// Cross-entropy or squared error, mean over the batch.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`, or `[batch, 1]` for scores
    /// - output: `[1]`
    pub fn loss(&self, logits: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Classes(classes) => {
                adamix_kernels::cross_entropy(logits, classes, 0.0) / classes.len() as f64
            }
            Self::Scores(scores) => {
                let scores = Tensor::<2>::from_data(
                    TensorData::new(scores.clone(), [scores.len(), 1]),
                    &logits.device(),
                );
                (logits - scores).square().mean()
            }
        }
    }
}

/// The consistency term's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consistency {
    /// Its factor; 0 trains with one pass. The released code has 1 for understanding, 100 for generation.
    pub weight: f64,
    /// Whether each divergence takes its first distribution as a constant (the released code does).
    pub detach: bool,
    /// What consistency means for a regression.
    pub regression: RegressionConsistency,
}

impl Default for Consistency {
    fn default() -> Self {
        Self {
            weight: 1.0,
            detach: true,
            regression: RegressionConsistency::None,
        }
    }
}

impl Consistency {
    /// Whether a step with these targets runs a second pass.
    pub fn wants_second_pass(&self, targets: &Targets) -> bool {
        let defined = matches!(targets, Targets::Classes(_))
            || self.regression != RegressionConsistency::None;
        self.weight != 0.0 && defined
    }

    /// The term between two passes, without its factor.
    ///
    /// # Shapes
    /// - `first`, `second`: `[batch, outputs]`
    /// - output: `[1]`
    pub fn loss(&self, first: Tensor<2>, second: Tensor<2>, targets: &Targets) -> Tensor<1> {
        match targets {
            Targets::Classes(_) => symmetric_kl(first, second, self.detach),
            Targets::Scores(_) => squared_distance(first, second, self.detach),
        }
    }
}

/// The parts of a step's loss, each of shape `[1]`.
#[derive(Clone, Debug)]
pub struct StepLoss {
    /// What is differentiated: task + weight · consistency.
    pub total: Tensor<1>,
    /// On the first pass only.
    pub task: Tensor<1>,
    /// Without its factor; absent with one pass.
    pub consistency: Option<Tensor<1>>,
}

impl StepLoss {
    /// Combines the logits of one pass or two.
    pub fn new(
        consistency: &Consistency,
        targets: &Targets,
        first: Tensor<2>,
        second: Option<Tensor<2>>,
    ) -> Self {
        let task = targets.loss(first.clone());
        let Some(second) = second else {
            return Self {
                total: task.clone(),
                task,
                consistency: None,
            };
        };
        let term = consistency.loss(first, second, targets);
        Self {
            total: task.clone() + term.clone() * consistency.weight,
            task,
            consistency: Some(term),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn task_losses_equal_values_by_hand() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data([[3f32.ln(), 0.0], [0.0, 0.0]], &device);
        let loss = Targets::Classes(vec![0, 1])
            .loss(logits)
            .into_scalar::<f32>();
        let expected = -(0.75f32.ln() + 0.5f32.ln()) / 2.0;
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
        let outputs = Tensor::<2>::from_data([[1.0], [4.0]], &device);
        let loss = Targets::Scores(vec![2.0, 2.0])
            .loss(outputs)
            .into_scalar::<f32>();
        assert!((loss - 2.5).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn a_regression_has_one_pass_unless_asked() {
        let scores = Targets::Scores(vec![1.0]);
        assert!(!Consistency::default().wants_second_pass(&scores));
        let squared = Consistency {
            regression: RegressionConsistency::Mse,
            ..Consistency::default()
        };
        assert!(squared.wants_second_pass(&scores));
    }
}
