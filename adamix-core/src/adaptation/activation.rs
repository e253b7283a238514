//! What stands between the projections of a bottleneck adapter.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What stands between the projections of a bottleneck adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// The exact GELU (BERT, RoBERTa).
    Gelu,
    /// GELU's tanh approximation (GPT-2).
    GeluTanh,
    /// The rectifier (Pfeiffer adapters).
    Relu,
    /// `x sigmoid(x)` (Houlsby adapters of the stock code).
    Swish,
    /// Nothing: linear adapters.
    Identity,
}

impl Activation {
    /// Applies the function to every value.
    pub fn forward(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Gelu => adamix_kernels::gelu(x),
            Self::GeluTanh => adamix_kernels::gelu_tanh(x),
            Self::Relu => burn::tensor::activation::relu(x),
            Self::Swish => burn::tensor::activation::silu(x),
            Self::Identity => x,
        }
    }
}
