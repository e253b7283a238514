//! Soft merging of experts for each example (SMEAR, Muqeeth et al. 2024).

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use super::expert_dropout::kept;
use crate::options::{OptionError, fraction};
use crate::routing::{
    Decision, Declared, Grain, Inference, Mix, RouterShape, RoutingContext, RoutingPolicy,
};

/// The parameters of the experts, mixed for each example by `softmax(W mean_t x_t)`; in training experts
/// are dropped at a rate and the other weights divided by their sum.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smear {
    /// The probability that an expert is dropped for an example; 0.1 in the paper.
    pub expert_dropout: f64,
}

impl Default for Smear {
    fn default() -> Self {
        Self {
            expert_dropout: 0.1,
        }
    }
}

impl RoutingPolicy for Smear {
    fn name(&self) -> &str {
        "smear"
    }

    fn grain(&self) -> Grain {
        Grain::Example
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn parameters(&self, shape: &RouterShape) -> Vec<Declared> {
        vec![Declared::new("gate", shape.width, shape.experts)]
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let mut weights = softmax(context.map("gate").forward(context.mean_input()), 2);
        if context.training && self.expert_dropout > 0.0 {
            let experts = context.experts();
            let row = |id: &u32| {
                let key = context.key().fold(u64::from(*id));
                kept(experts, self.expert_dropout, |i| {
                    key.fold(i as u64).uniform()
                })
            };
            let kept: Vec<f32> = context
                .examples
                .iter()
                .flat_map(row)
                .map(f32::from)
                .collect();
            let kept = TensorData::new(kept, [context.examples.len(), 1, experts]);
            weights = weights.clone() * Tensor::from_data(kept, context.device);
            weights = weights.clone() / weights.sum_dim(2);
        }
        Decision::mixed(weights, Mix::Parameters)
    }

    fn native_inference(&self) -> Inference {
        Inference::Routed
    }

    fn check(&self) -> Result<(), OptionError> {
        fraction("expert_dropout", self.expert_dropout)
    }
}
