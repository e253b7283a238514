//! One layer: attention, then the feed-forward block whose output AdaMix adapts.

use adamix_core::adaptation::Bottleneck;
use adamix_core::linear::Linear;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Attention, EncoderConfig, LayerNorm};
use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// A linear layer under the name `dense`.
#[derive(Module, Debug)]
pub struct Dense {
    /// The layer.
    pub dense: Linear,
}

/// The second half of the feed-forward block.
#[derive(Module, Debug)]
pub struct LayerOutput {
    /// `[intermediate, hidden]`.
    pub dense: Linear,
    /// The mixture of adapters, on the projection's output before dropout, residual and norm.
    pub adamix: Option<Bottleneck>,
    /// Over the sum with the residual stream.
    pub LayerNorm: LayerNorm,
    dropout: f64,
}

/// A Transformer layer with its norms after each block.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// Self-attention.
    pub attention: Attention,
    /// `[hidden, intermediate]`, followed by GELU.
    pub intermediate: Dense,
    /// Back to the hidden size.
    pub output: LayerOutput,
}

impl EncoderLayer {
    /// Builds the layer at a place of `source`.
    pub fn load(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let (hidden, wide, range) = (
            config.hidden_size,
            config.intermediate_size,
            config.initializer_range,
        );
        let output = source.at("output");
        Ok(Self {
            attention: Attention::load(config, &source.at("attention"))?,
            intermediate: Dense {
                dense: source
                    .at("intermediate")
                    .at("dense")
                    .linear(hidden, wide, range)?,
            },
            output: LayerOutput {
                dense: output.at("dense").linear(wide, hidden, range)?,
                adamix: None,
                LayerNorm: LayerNorm::load(hidden, config.layer_norm_eps, &output.at("LayerNorm"))?,
                dropout: config.hidden_dropout_prob,
            },
        })
    }

    /// Runs the layer; `site` is the name of its feed-forward output.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, hidden]`
    /// - `mask`: `[batch, tokens]`
    pub fn forward(&self, x: Tensor<3>, mask: Tensor<2>, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        let x = self.attention.forward(x, mask, pass, site);
        let inner = adamix_kernels::gelu(self.intermediate.dense.forward(x.clone()));
        let mut y = self.output.dense.forward(inner);
        if let Some(mixture) = &self.output.adamix {
            y = mixture.forward(y, pass.decision(site));
        }
        if let Some(dropout) = pass.dropout_at(site, self.output.dropout) {
            y = adamix_kernels::dropout(y, &dropout);
        }
        self.output.LayerNorm.forward_sum(y, x)
    }
}
