//! LayerNorm, in backbones and in adapters that bring their own.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

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
    /// A layer of these values.
    pub fn new(weight: Param<Tensor<1>>, bias: Param<Tensor<1>>, epsilon: f64) -> Self {
        Self {
            weight,
            bias,
            epsilon,
        }
    }

    /// A fresh trainable layer: weight one, bias zero.
    pub fn init(size: usize, epsilon: f64, device: &Device) -> Self {
        Self::new(
            Param::from_tensor(Tensor::ones([size], device)),
            Param::from_tensor(Tensor::zeros([size], device)),
            epsilon,
        )
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
