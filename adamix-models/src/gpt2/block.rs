//! One layer, with its norms before each half.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Attention, Cache, Gpt2Config, Mlp};
use crate::encoder::LayerNorm;
use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub ln_1: LayerNorm,
    /// Causal self-attention.
    pub attn: Attention,
    /// Before the feed-forward half.
    pub ln_2: LayerNorm,
    /// The feed-forward half.
    pub mlp: Mlp,
}

impl Block {
    /// Builds the layer at a place of `source`.
    pub fn load(config: &Gpt2Config, layer: usize, source: &Source<'_>) -> Result<Self, HubError> {
        let norm =
            |name| LayerNorm::load(config.n_embd, config.layer_norm_epsilon, &source.at(name));
        Ok(Self {
            ln_1: norm("ln_1")?,
            attn: Attention::load(config, layer, &source.at("attn"))?,
            ln_2: norm("ln_2")?,
            mlp: Mlp::load(config, &source.at("mlp"))?,
        })
    }

    /// Runs the layer; `site` is its name.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, width]`
    /// - `mask`: `[batch, tokens]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        mask: Option<Tensor<2>>,
        cache: Option<&mut Cache>,
        pass: &Pass<'_>,
        site: &str,
    ) -> Tensor<3> {
        let normed = self.ln_1.forward(x.clone());
        let y = self
            .attn
            .forward(normed, mask, cache, pass, &format!("{site}.attn"));
        let x = x + y;
        let y = self
            .mlp
            .forward(self.ln_2.forward(x.clone()), pass, &format!("{site}.mlp"));
        x + y
    }
}
