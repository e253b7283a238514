//! The update rule.

use adamix_core::optimizer::{AdamWConfig, EpsilonPlacement, Unselected};
use serde::{Deserialize, Serialize};

/// AdamW with clipping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    /// The rate at the end of the warm-up.
    pub learning_rate: f64,
    /// Decoupled decay, after the update, at the current rate.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the square root of the second moment.
    pub epsilon: f64,
    /// Before or after that is corrected for its start at zero.
    pub epsilon_placement: EpsilonPlacement,
    /// Whether biases and LayerNorms decay too.
    pub decay_all: bool,
    /// What happens to experts that a step did not draw.
    pub unselected: Unselected,
    /// Bound on the norm of all gradients together; 0 for none.
    pub max_grad_norm: f64,
}

impl Default for Optimizer {
    fn default() -> Self {
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            epsilon_placement,
            weight_decay,
            decay_all,
            unselected,
        } = AdamWConfig::default();
        Self {
            learning_rate: 1e-3,
            weight_decay,
            beta1,
            beta2,
            epsilon,
            epsilon_placement,
            decay_all,
            unselected,
            max_grad_norm: 1.0,
        }
    }
}

impl Optimizer {
    /// The update rule's constants.
    pub fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            epsilon_placement: self.epsilon_placement,
            weight_decay: self.weight_decay,
            decay_all: self.decay_all,
            unselected: self.unselected,
        }
    }
}
