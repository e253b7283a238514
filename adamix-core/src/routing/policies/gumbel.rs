//! One drawn expert for each example, with a straight-through gradient (Jang et al. 2017).

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use crate::options::OptionError;
use crate::routing::rank::among_first;
use crate::routing::{
    Decision, Declared, Grain, Inference, Mix, RouterShape, RoutingContext, RoutingPolicy,
};

/// In training the expert with the largest `W mean_t x_t` plus Gumbel noise, so drawn from the softmax; in
/// evaluation the most likely one. Forward the weights are 0 and 1, backward those of the softmax at
/// `temperature`; for that gradient all experts run.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gumbel {
    /// Of the softmax that the gradient sees.
    pub temperature: f64,
}

impl Default for Gumbel {
    fn default() -> Self {
        Self { temperature: 1.0 }
    }
}

impl RoutingPolicy for Gumbel {
    fn name(&self) -> &str {
        "gumbel"
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
        let mut logits = context.map("gate").forward(context.mean_input());
        if context.training {
            logits = logits + noise(context);
        }
        let soft = softmax(logits / self.temperature, 2);
        let hard = among_first(soft.clone(), 1);
        // The value of `hard`, the gradient of `soft`.
        let weights = hard + soft.clone() - soft.detach();
        Decision::mixed(weights, Mix::Outputs)
    }

    fn is_tied(&self) -> bool {
        true
    }

    fn native_inference(&self) -> Inference {
        Inference::Routed
    }

    fn check(&self) -> Result<(), OptionError> {
        if self.temperature.is_finite() && self.temperature > 0.0 {
            return Ok(());
        }
        let message = format!("{} is not a positive number", self.temperature);
        Err(OptionError::new("temperature", message))
    }
}

/// `-ln(-ln u)` for every example and expert, keyed by the example.
fn noise(context: &RoutingContext<'_>) -> Tensor<3> {
    let experts = context.experts();
    let row = |id: &u32| {
        let key = context.key().fold(u64::from(*id));
        // Half a step away from 0, whose logarithm is infinite.
        let uniform = move |i| key.fold(i as u64).uniform() + 0.5f64.powi(54);
        (0..experts).map(move |i| -(-uniform(i).ln()).ln() as f32)
    };
    let values: Vec<f32> = context.examples.iter().flat_map(row).collect();
    let data = TensorData::new(values, [context.examples.len(), 1, experts]);
    Tensor::from_data(data, context.device)
}
