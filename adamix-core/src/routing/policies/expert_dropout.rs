//! The mean of the experts that were not dropped.

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use crate::options::{OptionError, fraction};
use crate::routing::{Decision, Mix, RoutingContext, RoutingPolicy};

/// Each expert is dropped for the whole batch with probability `rate`; the parameters of the others are
/// averaged. With rate 0, or in evaluation, it is the merged module itself; towards rate 1 it is
/// [`StochasticTied`](super::StochasticTied).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpertDropout {
    /// The probability that an expert is dropped.
    pub rate: f64,
}

impl Default for ExpertDropout {
    fn default() -> Self {
        Self { rate: 0.5 }
    }
}

impl RoutingPolicy for ExpertDropout {
    fn name(&self) -> &str {
        "expert-dropout"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let experts = context.experts();
        let kept = match context.training {
            true => kept(experts, self.rate, |i| {
                context.key().fold(i as u64).uniform()
            }),
            false => vec![true; experts],
        };
        let count = kept.iter().filter(|k| **k).count();
        let weight = |kept| if kept { 1.0 / count as f32 } else { 0.0 };
        let weights: Vec<f32> = kept.into_iter().map(weight).collect();
        let weights = TensorData::new(weights, [1, 1, experts]);
        let weights = Tensor::from_data(weights, context.device);
        Decision::mixed(weights, Mix::Parameters)
    }

    fn check(&self) -> Result<(), OptionError> {
        fraction("rate", self.rate)
    }
}

/// Which experts stay. Where all would go, the one with the largest number stays.
pub(super) fn kept(experts: usize, rate: f64, uniform: impl Fn(usize) -> f64) -> Vec<bool> {
    let numbers: Vec<f64> = (0..experts).map(uniform).collect();
    let largest = numbers.iter().copied().fold(0.0, f64::max);
    numbers.iter().map(|n| *n >= rate.min(largest)).collect()
}
