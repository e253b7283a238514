//! What is trained beside the head.

use adamix_core::adaptation::{Activation, Share};
use serde::{Deserialize, Serialize};

/// What is trained beside the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A mixture of bottleneck adapters in every layer.
    Adamix,
    /// One bottleneck adapter in every layer, at the same place.
    Adapter,
    /// Nothing.
    Head,
    /// The whole model.
    Full,
}

/// The adaptation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptation {
    /// What is trained beside the head.
    pub method: Method,
    /// Width of the bottleneck.
    pub bottleneck: usize,
    /// M, the experts of a side that is not shared.
    pub experts: usize,
    /// Which sides are shared.
    pub share: Share,
    /// Between the projections.
    pub activation: Activation,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

impl Default for Adaptation {
    fn default() -> Self {
        Self {
            method: Method::Adamix,
            bottleneck: 16,
            experts: 4,
            share: Share::Up,
            activation: Activation::Gelu,
            initializer_range: 0.02,
        }
    }
}
