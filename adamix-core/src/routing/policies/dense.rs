//! All experts, weighted for each token (LoRAMoE, Dou et al. 2024; with the down side shared: HydraLoRA).

use burn::tensor::activation::softmax;
use serde::Deserialize;

use crate::options::OptionError;
use crate::routing::balance::Balance;
use crate::routing::{
    Decision, Declared, Grain, Inference, Mix, RouterShape, RoutingContext, RoutingPolicy,
};

/// The outputs of all experts, mixed by `softmax(W x)` of each token. With `share = "down"` this is
/// HydraLoRA (Tian et al. 2024): one A, several B.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dense {
    /// Factor of the balance loss.
    pub balance: f64,
    /// Factor of the z-loss.
    pub z: f64,
}

impl RoutingPolicy for Dense {
    fn name(&self) -> &str {
        "dense"
    }

    fn grain(&self) -> Grain {
        Grain::Token
    }

    fn parameters(&self, shape: &RouterShape) -> Vec<Declared> {
        vec![Declared::new("gate", shape.width, shape.experts)]
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let logits = context.map("gate").forward(context.input().clone());
        let weights = softmax(logits.clone(), 2);
        let losses = Balance::new(self.balance, self.z);
        let auxiliary = losses.term(context, logits, weights.clone(), weights.clone());
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
