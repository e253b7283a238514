//! What is trained beside the head.

use adamix_core::adaptation::{Activation, Share};
use serde::{Deserialize, Serialize};

/// What is trained beside the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A mixture of bottleneck adapters in every layer.
    Adamix,
    /// A mixture of low-rank updates of queries and values in every layer.
    AdamixLora,
    /// One bottleneck adapter in every layer, at the same place.
    Adapter,
    /// One low-rank update of queries and values in every layer (LoRA).
    Lora,
    /// Nothing.
    Head,
    /// The whole model.
    Full,
}

impl Method {
    /// The name in configs and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adamix => "adamix",
            Self::AdamixLora => "adamix-lora",
            Self::Adapter => "adapter",
            Self::Lora => "lora",
            Self::Head => "head",
            Self::Full => "full",
        }
    }

    /// Whether several experts are trained.
    pub fn is_mixture(self) -> bool {
        matches!(self, Self::Adamix | Self::AdamixLora)
    }
}

/// The adaptation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptation {
    /// What is trained beside the head.
    pub method: Method,
    /// Width of the bottleneck.
    pub bottleneck: usize,
    /// r of a low-rank update.
    pub rank: usize,
    /// A low-rank update is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Dropout on the input of a low-rank update.
    pub lora_dropout: f64,
    /// Whether low-rank experts start as copies of one draw, as in the released code.
    pub equal_start: bool,
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
            rank: 4,
            alpha: 32.0,
            lora_dropout: 0.0,
            equal_start: true,
            experts: 4,
            share: Share::Up,
            activation: Activation::Gelu,
            initializer_range: 0.02,
        }
    }
}
