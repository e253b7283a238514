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

    /// A layer like this one, on its device and trained if this one is, with other values.
    pub fn with_values(&self, shape: [usize; 2], weight: Vec<f32>, bias: Option<Vec<f32>>) -> Self {
        let trained = self.weight.is_require_grad();
        let layer = Self::from_values(shape, weight, bias, &self.weight.val().device());
        Self {
            weight: layer.weight.set_require_grad(trained),
            bias: layer.bias.map(|bias| bias.set_require_grad(trained)),
        }
    }

    /// The weight's values, row-major `[in, out]`.
    pub fn weight_values(&self) -> Vec<f32> {
        host(self.weight.val())
    }

    /// The bias' values.
    pub fn bias_values(&self) -> Option<Vec<f32>> {
        self.bias.as_ref().map(|bias| host(bias.val()))
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

    /// Applies the map to GELU of `x`.
    ///
    /// # Shapes
    /// - input: `[..., in]`
    /// - output: `[..., out]`
    pub fn after_gelu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.bias {
            Some(bias) => adamix_kernels::gelu_linear(x, self.weight.val(), bias.val()),
            None => self.forward(adamix_kernels::gelu(x)),
        }
    }
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.without_autodiff().into_data().convert::<f32>();
    data.try_into_vec().expect("f32 values")
}
