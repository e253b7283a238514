//! The feed-forward half of a block, whose output AdaMix's adapters sit on.

use adamix_core::adaptation::{Activation, Adaptation};
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv1D, Gpt2Config};
use crate::block::BlockAdapter;
use crate::hub::{HubError, Source};
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// The feed-forward half of a block.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[width, inner]`.
    pub c_fc: Conv1D,
    /// `[inner, width]`.
    pub c_proj: Conv1D,
    /// The adapter, alone or as a mixture.
    pub adamix: Option<Adaptation>,
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
        let y = self.project(x.clone(), pass, site);
        self.finish(y, &x, pass, site)
    }

    /// Up to the projection that ends the half block.
    pub(super) fn project(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        let inner = self.c_fc.forward(x, pass, &format!("{site}.c_fc"));
        let site = format!("{site}.c_proj");
        match (self.activation, &self.c_proj.adamix) {
            (Activation::GeluTanh, None) => self.c_proj.after_gelu_tanh(inner),
            _ => (self.c_proj).forward(self.activation.forward(inner), pass, &site),
        }
    }

    /// From the projection to the end; `x` is what the half block reads.
    pub(super) fn finish(
        &self,
        y: Tensor<3>,
        x: &Tensor<3>,
        pass: &Pass<'_>,
        site: &str,
    ) -> Tensor<3> {
        let adapter = BlockAdapter::new(&self.adamix, pass, site);
        let mut y = adapter.on_projection(y);
        if let Some(dropout) = pass.dropout_at(site, self.dropout) {
            y = adamix_kernels::dropout(y, &dropout);
        }
        adapter.on_output(y, x, |y| y)
    }

    /// Whether anything is dropped in training.
    pub(super) fn drops(&self) -> bool {
        self.dropout > 0.0
    }

    /// Whether nothing is attached to its maps.
    pub(super) fn is_plain_below(&self) -> bool {
        self.c_fc.adamix.is_none() && self.c_proj.adamix.is_none()
    }

    pub(super) fn slots(&mut self, site: &str) -> [Slot<'_>; 3] {
        let width = self.c_fc.weight.lazy_shape()[0];
        let block = Slot {
            site: site.to_owned(),
            part: None,
            role: Role::FeedForwardBlock,
            widths: [width, width],
            holds: &mut self.adamix,
        };
        let first = (self.c_fc).slot(format!("{site}.c_fc"), Role::FirstFeedForward);
        let second = (self.c_proj).slot(format!("{site}.c_proj"), Role::SecondFeedForward);
        [first, second, block]
    }
}
