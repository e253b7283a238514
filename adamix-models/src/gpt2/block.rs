//! One layer, with its norms before each half.

use adamix_core::adaptation::Adaptation;
use adamix_core::layer_norm::LayerNorm;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Attention, Cache, Gpt2Config, Mlp};
use crate::block::BlockAdapter;
use crate::hub::{HubError, Source};
use crate::pass::Pass;
use crate::site::{Role, Slot};

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
    /// An adapter on the layer's output, or virtual tokens before its input.
    pub adamix: Option<Adaptation>,
}

impl Block {
    /// Builds the layer at a place of `source`.
    pub fn load(config: &Gpt2Config, layer: usize, source: &Source<'_>) -> Result<Self, HubError> {
        let norm = |name| {
            let source = source.at(name);
            source.layer_norm(config.n_embd, config.layer_norm_epsilon)
        };
        Ok(Self {
            ln_1: norm("ln_1")?,
            attn: Attention::load(config, layer, &source.at("attn"))?,
            ln_2: norm("ln_2")?,
            mlp: Mlp::load(config, &source.at("mlp"))?,
            adamix: None,
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
        let lower = self.lower(x, mask, cache, pass, site);
        self.upper(lower, pass, site)
    }

    /// Up to the projection that ends the feed-forward half: what it gives, what that half reads, and the residual stream.
    pub(super) fn lower(
        &self,
        x: Tensor<3>,
        mask: Option<Tensor<2>>,
        cache: Option<&mut Cache>,
        pass: &Pass<'_>,
        site: &str,
    ) -> [Tensor<3>; 3] {
        let before = self.adamix.as_ref().and_then(|adaptation| {
            let context = pass.context(site, adaptation);
            let tokens = adaptation.virtual_tokens()?;
            Some(self.ln_1.forward(tokens.forward(x.dims()[0], &context)))
        });
        let normed = self.ln_1.forward(x.clone());
        let name = format!("{site}.attn");
        let y = (self.attn).forward(normed, before, mask, cache, pass, &name);
        let x = x + y;
        let normed = self.ln_2.forward(x.clone());
        let y = (self.mlp).project(normed.clone(), pass, &format!("{site}.mlp"));
        [y, normed, x]
    }

    /// From what [`lower`](Self::lower) gives to the end.
    pub(super) fn upper(
        &self,
        [y, normed, x]: [Tensor<3>; 3],
        pass: &Pass<'_>,
        site: &str,
    ) -> Tensor<3> {
        let y = (self.mlp).finish(y, &normed, pass, &format!("{site}.mlp"));
        let y = x.clone() + y;
        BlockAdapter::new(&self.adamix, pass, site).on_output(y, &x, |y| y)
    }

    /// Whether anything is dropped in training.
    pub(super) fn drops(&self) -> bool {
        self.attn.drops() || self.mlp.drops()
    }

    /// Whether nothing is attached at all.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain_below() && self.mlp.adamix.is_none()
    }

    /// Whether nothing is attached where [`lower`](Self::lower) runs.
    pub(super) fn is_plain_below(&self) -> bool {
        self.attn.is_plain() && self.adamix.is_none() && self.mlp.is_plain_below()
    }

    pub(super) fn slots(&mut self, site: &str) -> Vec<Slot<'_>> {
        let [width] = self.ln_1.weight.lazy_shape().dims();
        let mut slots = vec![Slot {
            site: site.to_owned(),
            part: None,
            role: Role::Layer,
            widths: [width, width],
            holds: &mut self.adamix,
        }];
        slots.extend(self.attn.slots(&format!("{site}.attn")));
        slots.extend(self.mlp.slots(&format!("{site}.mlp")));
        slots
    }
}
