//! GPT-2's affine map, which its files lay out `[in, out]`.

use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::hub::{HubError, Source};

/// `y = x W + b` with the weight `[in, out]` in memory and in files alike: unlike
/// [`Linear`](adamix_core::linear::Linear) it is never transposed.
#[derive(Module, Debug)]
pub struct Conv1D {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Conv1D {
    /// Builds the map at a place of `source`.
    pub fn load(
        [input, output]: [usize; 2],
        range: f64,
        source: &Source<'_>,
    ) -> Result<Self, HubError> {
        Ok(Self {
            weight: source.parameter("weight", [input, output], Initializer::Normal(range))?,
            bias: source.parameter("bias", [output], Initializer::Zeros)?,
        })
    }

    /// # Shapes
    /// - input: `[..., in]`
    /// - output: `[..., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        adamix_kernels::linear(x, self.weight.val(), Some(self.bias.val()))
    }
}
