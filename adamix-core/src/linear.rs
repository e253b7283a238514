//! The affine map that backbones and banks are made of.

use adamix_keys::Key;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::random::Initializer;

/// `y = x W + b`.
///
/// In files the weight is `[out, in]` as in PyTorch; in memory it is transposed ([`crate::parameter`]).
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A fresh trainable layer: weight drawn from `initializer`, bias zero.
    pub fn init(
        input: usize,
        output: usize,
        initializer: Initializer,
        key: Key,
        device: &Device,
    ) -> Self {
        let values = initializer.sample(key.purpose("weight"), input * output);
        Self::from_values([input, output], values, Some(vec![0.0; output]), device)
    }

    /// A trainable layer from values; `weight` is row-major `[in, out]`.
    pub fn from_values(
        shape: [usize; 2],
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        device: &Device,
    ) -> Self {
        Self {
            weight: Param::from_data(TensorData::new(weight, shape), device),
            bias: bias.map(|b| Param::from_data(TensorData::new(b, [shape[1]]), device)),
        }
    }

    /// `[in, out]`.
    pub fn shape(&self) -> [usize; 2] {
        self.weight.lazy_shape().dims()
    }

    /// Applies the map.
    ///
    /// # Shapes
    /// - input: `[..., in]`
    /// - output: `[..., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        adamix_kernels::linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}
