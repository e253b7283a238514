//! The feed-forward half of a block, whose output AdaMix's adapters sit on.

use adamix_core::adaptation::{Activation, Bottleneck};
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv1D, Gpt2Config};
use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// The feed-forward half of a block.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[width, inner]`.
    pub c_fc: Conv1D,
    /// `[inner, width]`.
    pub c_proj: Conv1D,
    /// The mixture of adapters, on the projection's output before dropout and residual.
    pub adamix: Option<Bottleneck>,
    #[module(skip)]
    activation: Activation,
    dropout: f64,
}

impl Mlp {
    /// Builds the half block at a place of `source`.
    pub fn load(config: &Gpt2Config, source: &Source<'_>) -> Result<Self, HubError> {
        let (width, inner, range) = (config.n_embd, config.inner(), config.initializer_range);
        Ok(Self {
            c_fc: Conv1D::load([width, inner], range, &source.at("c_fc"))?,
            c_proj: Conv1D::load([inner, width], range, &source.at("c_proj"))?,
            adamix: None,
            activation: config.activation().unwrap_or(Activation::GeluTanh),
            dropout: config.resid_pdrop,
        })
    }

    /// What the half block adds to the residual stream; `site` is its own name.
    ///
    /// # Shapes
    /// - input and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        let inner = self.activation.forward(self.c_fc.forward(x));
        let mut y = self.c_proj.forward(inner);
        if let Some(mixture) = &self.adamix {
            y = mixture.forward(y, pass.decision(site));
        }
        match pass.dropout_at(site, self.dropout) {
            Some(dropout) => adamix_kernels::dropout(y, &dropout),
            None => y,
        }
    }
}
