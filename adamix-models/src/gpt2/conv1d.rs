//! GPT-2's affine map, which its files lay out `[in, out]`.

use adamix_core::adaptation::Adaptation;
use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::hub::{HubError, Source};
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// `y = x W + b` with the weight `[in, out]` in memory and in files alike: unlike
/// [`Linear`](adamix_core::linear::Linear) it is never transposed.
#[derive(Module, Debug)]
pub struct Conv1D {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    /// A low-rank update or a scaling.
    pub adamix: Option<Adaptation>,
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
            adamix: None,
        })
    }

    /// `site` is the map's name.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, in]`
    /// - output: `[batch, tokens, out]`
    pub fn forward(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        let frozen = |x| adamix_kernels::linear(x, self.weight.val(), Some(self.bias.val()));
        match &self.adamix {
            None => frozen(x),
            Some(adaptation) => adaptation.around(x, frozen, &pass.context(site, adaptation)),
        }
    }

    /// The map alone, of GELU's tanh approximation of `x`.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, in]`
    /// - output: `[batch, tokens, out]`
    pub(super) fn after_gelu_tanh(&self, x: Tensor<3>) -> Tensor<3> {
        adamix_kernels::gelu_tanh_linear(x, self.weight.val(), self.bias.val())
    }

    pub(super) fn slot(&mut self, site: String, role: Role) -> Slot<'_> {
        Slot {
            site,
            part: None,
            role,
            widths: self.weight.lazy_shape().dims(),
            holds: &mut self.adamix,
        }
    }
}
