//! Causal self-attention with its output projection.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Cache, Conv1D, FusedAttentionMap, Gpt2Config};
use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// The attention half of a block.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values.
    pub c_attn: FusedAttentionMap,
    /// `[width, width]`.
    pub c_proj: Conv1D,
    layer: usize,
    factor: f64,
    attention_dropout: f64,
    residual_dropout: f64,
}

impl Attention {
    /// Builds the half block at a place of `source`.
    pub fn load(config: &Gpt2Config, layer: usize, source: &Source<'_>) -> Result<Self, HubError> {
        let (width, range) = (config.n_embd, config.initializer_range);
        Ok(Self {
            c_attn: FusedAttentionMap::load(width, config.n_head, range, &source.at("c_attn"))?,
            c_proj: Conv1D::load([width, width], range, &source.at("c_proj"))?,
            layer,
            factor: config.score_factor(layer),
            attention_dropout: config.attn_pdrop,
            residual_dropout: config.resid_pdrop,
        })
    }

    /// What the half block adds to the residual stream; `site` is its own name. With a cache, whose own mask
    /// counts, no probability is dropped.
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
        let dims = x.dims();
        let [q, k, v] = self.c_attn.forward(x, pass, &format!("{site}.c_attn"));
        let q = if self.factor == 1.0 {
            q
        } else {
            q * self.factor
        };
        let y = match cache {
            Some(cache) => cache.attend(self.layer, [q, k, v]),
            None => {
                let place = format!("{site}.attn_dropout");
                let dropout = pass.dropout_at(&place, self.attention_dropout);
                adamix_kernels::attention_causal(q, k, v, mask, dropout.as_ref())
            }
        };
        let y = self.c_proj.forward(y.swap_dims(1, 2).reshape(dims));
        match pass.dropout_at(&format!("{site}.resid_dropout"), self.residual_dropout) {
            Some(dropout) => adamix_kernels::dropout(y, &dropout),
            None => y,
        }
    }
}
