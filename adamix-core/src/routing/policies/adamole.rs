//! Experts above a learned threshold (AdaMoLE, Liu and Luo 2024).

use burn::tensor::activation::{relu, sigmoid, softmax};
use serde::Deserialize;

use crate::options::OptionError;
use crate::routing::balance::Balance;
use crate::routing::{
    Decision, Declared, Grain, Inference, Mix, RouterShape, RoutingContext, RoutingPolicy,
};

/// The outputs of the experts of each token whose `softmax(W x)` is above `tau(x) = sigma(w x + b) / M`, by
/// what is above it, divided by the sum. The largest share always is. All experts run.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaMole {
    /// Factor of the balance loss.
    pub balance: f64,
    /// Factor of the z-loss.
    pub z: f64,
}

impl RoutingPolicy for AdaMole {
    fn name(&self) -> &str {
        "adamole"
    }

    fn grain(&self) -> Grain {
        Grain::Token
    }

    fn parameters(&self, shape: &RouterShape) -> Vec<Declared> {
        vec![
            Declared::new("gate", shape.width, shape.experts),
            Declared {
                bias: true,
                ..Declared::new("threshold", shape.width, 1)
            },
        ]
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let input = context.input();
        let logits = context.map("gate").forward(input.clone());
        let threshold = sigmoid(context.map("threshold").forward(input.clone()));
        let shares = softmax(logits.clone(), 2);
        let above = relu(shares.clone() - threshold / context.experts() as f64);
        let weights = above.clone() / above.clone().sum_dim(2);
        let chosen = above.greater_elem(0.0).float();
        let losses = Balance::new(self.balance, self.z);
        let auxiliary = losses.term(context, logits, shares, chosen);
        Decision::mixed(weights, Mix::Outputs).with_auxiliary(auxiliary)
    }

    fn is_tied(&self) -> bool {
        true
    }

    fn native_inference(&self) -> Inference {
        Inference::Routed
    }

    fn check(&self) -> Result<(), OptionError> {
        Balance::new(self.balance, self.z).check()
    }
}
