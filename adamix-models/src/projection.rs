//! A frozen affine map with a place for an adaptation.

use adamix_core::adaptation::Adaptation;
use adamix_core::linear::Linear;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::pass::Pass;

/// A map with what is attached to it. In files it is the map alone: `weight` and `bias`.
#[derive(Module, Debug)]
pub struct Projection {
    /// The map; its own name is left out of paths.
    pub map: Linear,
    /// A low-rank update or a scaling.
    pub adamix: Option<Adaptation>,
}

impl Projection {
    /// A map with nothing attached.
    pub fn new(map: Linear) -> Self {
        Self { map, adamix: None }
    }

    /// [`forward`](Self::forward) of GELU of `x`.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, in]`
    /// - output: `[batch, tokens, out]`
    pub fn after_gelu(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        match &self.adamix {
            None => self.map.after_gelu(x),
            Some(_) => self.forward(adamix_kernels::gelu(x), pass, site),
        }
    }

    /// `site` is the map's name.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, in]`
    /// - output: `[batch, tokens, out]`
    pub fn forward(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        match &self.adamix {
            None => self.map.forward(x),
            Some(adaptation) => {
                let context = pass.context(site, adaptation);
                adaptation.around(x, |x| self.map.forward(x), &context)
            }
        }
    }
}
