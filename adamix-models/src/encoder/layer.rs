//! One layer: attention, then the feed-forward block whose output AdaMix adapts.

use adamix_core::adaptation::Adaptation;
use adamix_core::linear::Linear;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Attention, BlockOutput, EncoderConfig};
use crate::Projection;
use crate::block::BlockAdapter;
use crate::hub::{HubError, Source};
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// A linear layer under the name `dense`.
#[derive(Module, Debug)]
pub struct Dense {
    /// The layer.
    pub dense: Linear,
}

/// The first half of the feed-forward block.
#[derive(Module, Debug)]
pub struct Intermediate {
    /// `[hidden, intermediate]`, followed by GELU.
    pub dense: Projection,
}

/// A Transformer layer with its norms after each block.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// Self-attention.
    pub attention: Attention,
    /// Into the wide part.
    pub intermediate: Intermediate,
    /// Back to the hidden size.
    pub output: BlockOutput,
    /// An adapter on the layer's output, or virtual tokens before its input.
    pub adamix: Option<Adaptation>,
}

impl EncoderLayer {
    /// Builds the layer at a place of `source`.
    pub fn load(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let dense = source.at("intermediate").at("dense");
        let dense = dense.linear(hidden, wide, config.initializer_range)?;
        Ok(Self {
            attention: Attention::load(config, &source.at("attention"))?,
            intermediate: Intermediate {
                dense: Projection::new(dense),
            },
            output: BlockOutput::load(wide, config, &source.at("output"))?,
            adamix: None,
        })
    }

    /// Runs the layer; `layer` is its name.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, hidden]`
    /// - `mask`: `[batch, tokens]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        mask: Tensor<2>,
        pass: &Pass<'_>,
        layer: &str,
    ) -> Tensor<3> {
        let lower = self.lower(x, mask, pass, layer);
        self.upper(lower, pass, layer)
    }

    /// Up to the projection that ends the feed-forward block: what it gives, and what the block reads.
    pub(super) fn lower(
        &self,
        x: Tensor<3>,
        mask: Tensor<2>,
        pass: &Pass<'_>,
        layer: &str,
    ) -> [Tensor<3>; 2] {
        let before = self.adamix.as_ref().and_then(|adaptation| {
            let context = pass.context(layer, adaptation);
            let tokens = adaptation.virtual_tokens()?;
            Some(tokens.forward(x.dims()[0], &context))
        });
        let x = self.attention.forward(x, before, mask, pass, layer);
        let site = format!("{layer}.intermediate.dense");
        let inner = self.intermediate.dense.forward(x.clone(), pass, &site);
        let y = (self.output).project_gelu(inner, pass, &format!("{layer}.output"));
        [y, x]
    }

    /// From what [`lower`](Self::lower) gives to the end.
    pub(super) fn upper(&self, [y, x]: [Tensor<3>; 2], pass: &Pass<'_>, layer: &str) -> Tensor<3> {
        let site = format!("{layer}.output");
        let y = self.output.finish(y, x.clone(), pass, &site, &site);
        BlockAdapter::new(&self.adamix, pass, layer).on_output(y, &x, |y| y)
    }

    /// Whether anything is dropped in training.
    pub(super) fn drops(&self) -> bool {
        self.attention.drops() || self.output.drops()
    }

    /// Whether nothing is attached at all.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain_below() && self.output.adamix.is_none()
    }

    /// Whether nothing is attached where [`lower`](Self::lower) runs.
    pub(super) fn is_plain_below(&self) -> bool {
        let maps = [&self.intermediate.dense, &self.output.dense];
        self.attention.is_plain()
            && self.adamix.is_none()
            && maps.iter().all(|map| map.adamix.is_none())
    }

    pub(super) fn slots(&mut self, layer: &str) -> Vec<Slot<'_>> {
        let [hidden, wide] = self.intermediate.dense.map.shape();
        let mut slots = vec![Slot {
            site: layer.to_owned(),
            part: None,
            role: Role::Layer,
            widths: [hidden, hidden],
            holds: &mut self.adamix,
        }];
        slots.extend(self.attention.slots(layer));
        slots.push(Slot {
            site: format!("{layer}.intermediate.dense"),
            part: None,
            role: Role::FirstFeedForward,
            widths: [hidden, wide],
            holds: &mut self.intermediate.dense.adamix,
        });
        let (map, block) = (Role::SecondFeedForward, Role::FeedForwardBlock);
        slots.extend(self.output.slots(&format!("{layer}.output"), map, block));
        slots
    }
}
