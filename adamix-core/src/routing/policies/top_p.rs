//! As many experts as a share of the probability needs (Huang et al. 2024).

use burn::tensor::activation::softmax;
use serde::Deserialize;

use crate::options::{OptionError, fraction};
use crate::routing::balance::Balance;
use crate::routing::rank::share_before;
use crate::routing::{
    Decision, Declared, Grain, Inference, RouterShape, RoutingContext, RoutingPolicy,
};

/// The outputs of the fewest experts of each token whose `softmax(W x)` adds up to `p`, by these weights
/// divided by their sum: certain tokens have one expert, uncertain ones several. All experts run.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopP {
    /// The probability to be reached.
    pub p: f64,
    /// Factor of the balance loss.
    pub balance: f64,
    /// Factor of the z-loss.
    pub z: f64,
}

impl Default for TopP {
    fn default() -> Self {
        Self {
            p: 0.75,
            balance: 0.01,
            z: 0.0,
        }
    }
}

impl RoutingPolicy for TopP {
    fn name(&self) -> &str {
        "top-p"
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
        // The first expert always counts; another as long as those before it do not reach p.
        let before = share_before(shares.clone());
        let chosen = before
            .clone()
            .lower_elem(self.p)
            .bool_or(before.equal_elem(0.0))
            .float();
        Balance::new(self.balance, self.z).decision(context, logits, shares, chosen)
    }

    fn is_tied(&self) -> bool {
        true
    }

    fn native_inference(&self) -> Inference {
        Inference::Routed
    }

    fn check(&self) -> Result<(), OptionError> {
        fraction("p", self.p)?;
        Balance::new(self.balance, self.z).check()
    }
}
