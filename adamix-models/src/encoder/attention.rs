//! Multi-head self-attention with its output block.

use adamix_core::linear::Linear;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{EncoderConfig, LayerNorm};
use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// Query, key and value projections.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `[hidden, hidden]`.
    pub query: Linear,
    /// `[hidden, hidden]`.
    pub key: Linear,
    /// `[hidden, hidden]`.
    pub value: Linear,
    heads: usize,
    dropout: f64,
}

/// The projection after attention, with residual and norm.
#[derive(Module, Debug)]
pub struct SelfOutput {
    /// `[hidden, hidden]`.
    pub dense: Linear,
    /// Over the sum with the residual stream.
    pub LayerNorm: LayerNorm,
    dropout: f64,
}

/// The attention block of a layer.
#[derive(Module, Debug)]
pub struct Attention {
    /// `self` in files.
    pub self_attention: SelfAttention,
    /// What follows it.
    pub output: SelfOutput,
}

impl Attention {
    /// Builds the block at a place of `source`.
    pub fn load(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let hidden = config.hidden_size;
        let linear = |place: &Source<'_>| place.linear(hidden, hidden, config.initializer_range);
        let (inner, output) = (source.at("self"), source.at("output"));
        Ok(Self {
            self_attention: SelfAttention {
                query: linear(&inner.at("query"))?,
                key: linear(&inner.at("key"))?,
                value: linear(&inner.at("value"))?,
                heads: config.num_attention_heads,
                dropout: config.attention_probs_dropout_prob,
            },
            output: SelfOutput {
                dense: linear(&output.at("dense"))?,
                LayerNorm: LayerNorm::load(hidden, config.layer_norm_eps, &output.at("LayerNorm"))?,
                dropout: config.hidden_dropout_prob,
            },
        })
    }

    /// # Shapes
    /// - `x` and output: `[batch, tokens, hidden]`
    /// - `mask`: `[batch, tokens]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        mask: Tensor<2>,
        pass: &Pass<'_>,
        place: &str,
    ) -> Tensor<3> {
        let y = self.self_attention.forward(x.clone(), mask, pass, place);
        let y = self.output.dense.forward(y);
        let y = match pass.dropout_at(&format!("{place}.attention.output"), self.output.dropout) {
            Some(dropout) => adamix_kernels::dropout(y, &dropout),
            None => y,
        };
        self.output.LayerNorm.forward_sum(y, x)
    }
}

impl SelfAttention {
    fn forward(&self, x: Tensor<3>, mask: Tensor<2>, pass: &Pass<'_>, place: &str) -> Tensor<3> {
        let [batch, tokens, hidden] = x.dims();
        let split = |y: Tensor<3>| {
            y.reshape([batch, tokens, self.heads, hidden / self.heads])
                .swap_dims(1, 2)
        };
        let dropout = pass.dropout_at(&format!("{place}.attention.self"), self.dropout);
        let y = adamix_kernels::attention(
            split(self.query.forward(x.clone())),
            split(self.key.forward(x.clone())),
            split(self.value.forward(x)),
            mask,
            dropout.as_ref(),
        );
        y.swap_dims(1, 2).reshape([batch, tokens, hidden])
    }
}
