//! The loss of a training step: the task's, consistency between two passes, and what routing adds.

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
    /// Which passes the task's loss is taken on.
    pub task_loss: TaskLoss,
}

/// Which of two passes the task's loss is taken on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskLoss {
    /// The first alone: AdaMix' released code.
    #[default]
    First,
    /// The sum over both: R-Drop (Wu et al. 2021; one module, dropout) and THOR (Zuo et al. 2022; tied
    /// experts, weight 5).
    Both,
}

impl Default for Consistency {
    fn default() -> Self {
        Self {
            weight: 1.0,
            detach: true,
            regression: RegressionConsistency::None,
            task_loss: TaskLoss::First,
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
    /// What is differentiated: task + weight · consistency + auxiliary.
    pub total: Tensor<1>,
    /// On the first pass, or the sum over both.
    pub task: Tensor<1>,
    /// Without its factor; absent with one pass.
    pub consistency: Option<Tensor<1>>,
    /// What routing adds, its factors included.
    pub auxiliary: Option<Tensor<1>>,
}

impl StepLoss {
    /// Combines the logits of one pass or two.
    pub fn new(
        consistency: &Consistency,
        targets: &Targets,
        first: Tensor<2>,
        second: Option<Tensor<2>>,
    ) -> Self {
        Self::of(
            |logits| targets.loss(logits),
            |first, second| consistency.loss(first, second, targets),
            (consistency.task_loss, consistency.weight),
            first,
            second,
        )
    }

    /// The same with any task loss and consistency term, where the passes to take the task loss on and the term's weight
    /// are given.
    fn of(
        task_loss: impl Fn(Tensor<2>) -> Tensor<1>,
        term: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1>,
        (passes, weight): (TaskLoss, f64),
        first: Tensor<2>,
        second: Option<Tensor<2>>,
    ) -> Self {
        let task = task_loss(first.clone());
        let Some(second) = second else {
            return Self {
                total: task.clone(),
                task,
                consistency: None,
                auxiliary: None,
            };
        };
        let task = match passes {
            TaskLoss::First => task,
            TaskLoss::Both => task + task_loss(second.clone()),
        };
        let term = term(first, second);
        Self {
            total: task.clone() + term.clone() * weight,
            task,
            consistency: Some(term),
            auxiliary: None,
        }
    }

    /// The same with the mean over the passes of what their routing adds
    /// ([`auxiliary_loss`](crate::routing::auxiliary_loss)).
    pub fn with_auxiliary(mut self, passes: impl IntoIterator<Item = Option<Tensor<1>>>) -> Self {
        let terms: Vec<Tensor<1>> = passes.into_iter().flatten().collect();
        let count = terms.len() as f64;
        if let Some(sum) = terms.into_iter().reduce(|a, b| a + b) {
            let term = sum / count;
            self.total = self.total + term.clone();
            self.auxiliary = Some(term);
        }
        self
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
    fn both_passes_count_for_r_drop() {
        let device = Device::flex();
        let first = Tensor::<2>::from_data([[3f32.ln(), 0.0]], &device);
        let second = Tensor::<2>::from_data([[0.0f32, 0.0]], &device);
        let consistency = Consistency {
            weight: 2.0,
            task_loss: TaskLoss::Both,
            ..Consistency::default()
        };
        let targets = Targets::Classes(vec![0]);
        let loss = StepLoss::new(&consistency, &targets, first, Some(second));
        // -ln 3/4 - ln 1/2, and twice half of KL(p2 || p1) + KL(p1 || p2) for (3/4, 1/4) and (1/2, 1/2).
        let task = -(0.75f32.ln() + 0.5f32.ln());
        let kl = 0.5 * (4f32 / 3.0).ln() + 0.75 * 1.5f32.ln() + 0.25 * 0.5f32.ln();
        let auxiliary = Tensor::<1>::from_data([0.5f32], &device);
        let loss = loss.with_auxiliary([Some(auxiliary.clone()), Some(auxiliary * 3.0)]);
        let found = loss.task.into_scalar::<f32>();
        assert!((found - task).abs() < 1e-6, "{found} {task}");
        let total = loss.total.into_scalar::<f32>();
        assert!((total - (task + kl + 1.0)).abs() < 1e-6, "{total}");
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
