//! The k most likely experts of each token (MixLoRA, Li et al. 2024; MoLA; k = 1: Switch).

use burn::tensor::activation::softmax;
use serde::Deserialize;

use crate::options::OptionError;
use crate::routing::balance::Balance;
use crate::routing::rank::among_first;
use crate::routing::{
    Decision, Declared, Grain, Inference, RouterShape, RoutingContext, RoutingPolicy,
};

/// The outputs of the `k` experts with the largest `softmax(W x)` of each token, by these weights divided by
/// their sum; of one expert by its weight undivided, which alone gives the gate a gradient (Switch). All experts run and the others count nothing: at a bottleneck's width that is cheaper than
/// sorting tokens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopK {
    /// How many experts a token has.
    pub k: usize,
    /// Factor of the balance loss.
    pub balance: f64,
    /// Factor of the z-loss.
    pub z: f64,
}

impl Default for TopK {
    fn default() -> Self {
        Self {
            k: 2,
            balance: 0.01,
            z: 0.0,
        }
    }
}

impl RoutingPolicy for TopK {
    fn name(&self) -> &str {
        "top-k"
    }

    fn grain(&self) -> Grain {
        Grain::Token
    }

    fn parameters(&self, shape: &RouterShape) -> Vec<Declared> {
        vec![Declared::new("gate", shape.width, shape.experts)]
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let logits = context.map("gate").forward(context.input().clone());
        let shares = softmax(logits.clone(), 2);
        let chosen = among_first(shares.clone(), self.k);
        let balance = Balance::new(self.balance, self.z);
        if self.k == 1 {
            let weights = shares.clone() * chosen.clone();
            return balance.weighing(context, weights, logits, shares, chosen);
        }
        balance.decision(context, logits, shares, chosen)
    }

    fn is_tied(&self) -> bool {
        true
    }

    fn native_inference(&self) -> Inference {
        Inference::Routed
    }

    fn check(&self) -> Result<(), OptionError> {
        if self.k == 0 {
            return Err(OptionError::new("k", "a token needs at least one expert"));
        }
        Balance::new(self.balance, self.z).check()
    }
}
