//! LayerNorm under its name in files.

use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::hub::{HubError, Source};

/// Normalisation over the last dimension.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[hidden]`.
    pub weight: Param<Tensor<1>>,
    /// `[hidden]`.
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Builds the layer at a place of `source`.
    pub fn load(size: usize, epsilon: f64, source: &Source<'_>) -> Result<Self, HubError> {
        Ok(Self {
            weight: source.parameter("weight", [size], Initializer::Ones)?,
            bias: source.parameter("bias", [size], Initializer::Zeros)?,
            epsilon,
        })
    }

    /// # Shapes
    /// - input and output: `[..., hidden]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        adamix_kernels::layer_norm(x, self.weight.val(), self.bias.val(), self.epsilon)
    }

    /// The norm of a sum: a branch and the residual stream.
    ///
    /// # Shapes
    /// - inputs and output: `[..., hidden]`
    pub fn forward_sum<const D: usize>(&self, x: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
        adamix_kernels::add_layer_norm(
            x,
            residual,
            self.weight.val(),
            self.bias.val(),
            self.epsilon,
        )
    }
}
