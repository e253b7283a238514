//! The loss of a causal language model on chosen positions: label smoothing and consistency.

use burn::tensor::Tensor;
use thiserror::Error;

use super::{StepLoss, TaskLoss};
use crate::consistency::symmetric_kl;

/// Positions that a batch is trained to predict the next token at.
///
/// The logits of all other positions are never needed, so a model computes these only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTokens {
    /// Indices into the flattened `batch * tokens`, ascending.
    pub places: Vec<i32>,
    /// The token to be predicted at each of them.
    pub tokens: Vec<u32>,
}

/// What can be wrong with the targets of a batch.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NextTokensError {
    /// There is nothing to learn from the batch.
    #[error("no position of the batch is to be predicted: its mask is zero everywhere")]
    Empty,
    /// Labels and mask do not belong together.
    #[error("{labels} labels and {mask} mask values; there must be one of each for every position")]
    Lengths {
        /// Given labels.
        labels: usize,
        /// Given mask values.
        mask: usize,
    },
}

impl NextTokens {
    /// From row-major labels of a batch and a mask that is 1 where they count.
    ///
    /// # Errors
    /// If the lengths differ or the mask is zero everywhere.
    pub fn masked(labels: &[u32], mask: &[f32]) -> Result<Self, NextTokensError> {
        if labels.len() != mask.len() {
            return Err(NextTokensError::Lengths {
                labels: labels.len(),
                mask: mask.len(),
            });
        }
        let chosen: Vec<usize> = (0..labels.len()).filter(|i| mask[*i] != 0.0).collect();
        if chosen.is_empty() {
            return Err(NextTokensError::Empty);
        }
        Ok(Self {
            places: chosen.iter().map(|i| *i as i32).collect(),
            tokens: chosen.iter().map(|i| labels[*i]).collect(),
        })
    }
}

/// What the number of positions is raised by before a sum is divided by it: the released code's guard against an empty
/// mask.
pub const GUARD: f64 = 1e-4;

/// The settings of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanguageModelObjective {
    /// ε: the share of the target spread evenly over the vocabulary; 0.1 or 0 in the released runs.
    pub label_smoothing: f64,
    /// The factor of the consistency term; 0 trains with one pass, the released code has 100.
    pub consistency: f64,
    /// Whether each divergence takes its first distribution as a constant (the released code does).
    pub detach: bool,
    /// Which passes the task loss is taken on; the released code has the first.
    pub passes: TaskLoss,
}

impl LanguageModelObjective {
    /// Whether a step runs a second pass.
    pub fn wants_second_pass(&self) -> bool {
        self.consistency != 0.0
    }

    /// `Σ (1-ε) nll + ε mean_V(-log p)` over the positions, divided by their number plus [`GUARD`].
    ///
    /// # Shapes
    /// - logits: `[positions, vocabulary]`
    /// - output: `[1]`
    pub fn task_loss(&self, logits: Tensor<2>, targets: &NextTokens) -> Tensor<1> {
        let sum = adamix_kernels::cross_entropy(logits, &targets.tokens, self.label_smoothing);
        sum / (targets.tokens.len() as f64 + GUARD)
    }

    /// The loss of one pass or two, each given by its logits at the targets' places.
    ///
    /// # Shapes
    /// - `first`, `second`: `[positions, vocabulary]`
    pub fn step(
        &self,
        targets: &NextTokens,
        first: Tensor<2>,
        second: Option<Tensor<2>>,
    ) -> StepLoss {
        StepLoss::of(
            |logits| self.task_loss(logits, targets),
            |first, second| symmetric_kl(first, second, self.detach),
            (self.passes, self.consistency),
            first,
            second,
        )
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn loss(smoothing: f64) -> f32 {
        let objective = LanguageModelObjective {
            label_smoothing: smoothing,
            consistency: 0.0,
            detach: true,
            passes: TaskLoss::First,
        };
        let logits = Tensor::<2>::from_data([[3f32.ln(), 0.0], [0.0, 0.0]], &Device::flex());
        let targets = NextTokens::masked(&[9, 0, 1, 9], &[0.0, 1.0, 1.0, 0.0]).unwrap();
        assert_eq!(targets.places, [1, 2]);
        objective.task_loss(logits, &targets).into_scalar::<f32>()
    }

    #[test]
    fn equals_values_by_hand() {
        // Probabilities 3/4 and 1/4 in the first row, 1/2 and 1/2 in the second.
        let nll = |p: f32| -p.ln();
        let plain = (nll(0.75) + nll(0.5)) / 2.0001;
        assert!((loss(0.0) - plain).abs() < 1e-6, "{}", loss(0.0));
        let even = ((nll(0.75) + nll(0.25)) / 2.0 + nll(0.5)) / 2.0001;
        let smooth = 0.9 * plain + 0.1 * even;
        assert!((loss(0.1) - smooth).abs() < 1e-6, "{}", loss(0.1));
    }

    #[test]
    fn both_passes_count_where_they_are_asked_for() {
        let device = Device::flex();
        let first = Tensor::<2>::from_data([[3f32.ln(), 0.0]], &device);
        let second = Tensor::<2>::from_data([[0.0f32, 0.0]], &device);
        let targets = NextTokens::masked(&[0], &[1.0]).unwrap();
        let task = |passes| {
            let objective = LanguageModelObjective {
                label_smoothing: 0.0,
                consistency: 2.0,
                detach: true,
                passes,
            };
            let loss = objective.step(&targets, first.clone(), Some(second.clone()));
            let gap = loss.total - loss.task.clone() - loss.consistency.unwrap() * 2.0;
            assert!(gap.into_scalar::<f32>().abs() < 1e-6);
            loss.task.into_scalar::<f32>()
        };
        // -ln 3/4 of the first pass, -ln 1/2 of the second.
        let (one, two) = (-(0.75f32.ln()) / 1.0001, -(0.5f32.ln()) / 1.0001);
        assert!((task(TaskLoss::First) - one).abs() < 1e-6);
        assert!((task(TaskLoss::Both) - (one + two)).abs() < 1e-6);
    }

    #[test]
    fn a_batch_without_targets_is_refused() {
        assert_eq!(
            NextTokens::masked(&[1, 2], &[0.0, 0.0]),
            Err(NextTokensError::Empty)
        );
        assert!(NextTokens::masked(&[1, 2], &[0.0]).is_err());
    }
}
