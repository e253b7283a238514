//! Causal self-attention with its output projection.

use adamix_core::adaptation::Adaptation;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Cache, Conv1D, FusedAttentionMap, Gpt2Config};
use crate::block::BlockAdapter;
use crate::hub::{HubError, Source};
use crate::mask::with_open_start;
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// The attention half of a block.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values.
    pub c_attn: FusedAttentionMap,
    /// `[width, width]`.
    pub c_proj: Conv1D,
    /// An adapter on the half block's output.
    pub adamix: Option<Adaptation>,
    /// A prefix of keys and values; `adamix.prefix` in files.
    pub prefix_part: Option<Adaptation>,
    layer: usize,
    heads: usize,
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
            adamix: None,
            prefix_part: None,
            layer,
            heads: config.n_head,
            factor: config.score_factor(layer),
            attention_dropout: config.attn_pdrop,
            residual_dropout: config.resid_pdrop,
        })
    }

    /// What the half block adds to the residual stream; `site` is its own name. `before` are hidden states
    /// that stand before the first token: they are attended to, and give nothing themselves. With a cache,
    /// whose own mask counts, no probability is dropped.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, width]`
    /// - `before`: `[batch, any, width]`
    /// - `mask`: `[batch, tokens]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        before: Option<Tensor<3>>,
        mask: Option<Tensor<2>>,
        cache: Option<&mut Cache>,
        pass: &Pass<'_>,
        site: &str,
    ) -> Tensor<3> {
        let dims = x.dims();
        let adapter = BlockAdapter::new(&self.adamix, pass, site);
        // What stands before the tokens is read once; then it is in the cache.
        let is_start = cache.as_ref().is_none_or(|cache| !cache.has(self.layer));
        let read = match before.filter(|_| is_start) {
            Some(states) => Tensor::cat(vec![states, x.clone()], 1),
            None => x.clone(),
        };
        let first = read.dims()[1] - dims[1];
        let [q, k, v] = self.c_attn.forward(read, pass, &format!("{site}.c_attn"));
        let q = q.narrow(2, first, dims[1]);
        let q = if self.factor == 1.0 {
            q
        } else {
            q * self.factor
        };
        let (k, v) = match is_start {
            true => self.with_prefix(k, v, &x, pass, site),
            false => (k, v),
        };
        let y = match cache {
            Some(cache) => cache.attend(self.layer, [q, k, v]),
            None => {
                let mask = mask.map(|mask| {
                    let more = k.dims()[2] - mask.dims()[1];
                    with_open_start(mask, more)
                });
                let place = format!("{site}.attn_dropout");
                let dropout = pass.dropout_at(&place, self.attention_dropout);
                adamix_kernels::attention_causal(q, k, v, mask, dropout.as_ref())
            }
        };
        let y = y.swap_dims(1, 2).reshape(dims);
        let y = self.c_proj.forward(y, pass, &format!("{site}.c_proj"));
        let mut y = adapter.on_projection(y);
        if let Some(dropout) =
            pass.dropout_at(&format!("{site}.resid_dropout"), self.residual_dropout)
        {
            y = adamix_kernels::dropout(y, &dropout);
        }
        adapter.on_output(y, &x, |y| y)
    }

    /// Keys and values with those of the prefix before them.
    fn with_prefix(
        &self,
        k: Tensor<4>,
        v: Tensor<4>,
        x: &Tensor<3>,
        pass: &Pass<'_>,
        site: &str,
    ) -> (Tensor<4>, Tensor<4>) {
        let Some(adaptation) = &self.prefix_part else {
            return (k, v);
        };
        let Some(prefix) = adaptation.prefix() else {
            return (k, v);
        };
        let [batch, _, width] = x.dims();
        let split = |table: Tensor<3>| {
            let shape = [batch, table.dims()[1], self.heads, width / self.heads];
            table.reshape(shape).swap_dims(1, 2)
        };
        let tables = prefix.forward(x.clone(), &pass.context(site, adaptation));
        let [keys, values] = tables.map(split);
        (
            Tensor::cat(vec![keys, k], 2),
            Tensor::cat(vec![values, v], 2),
        )
    }

    pub(super) fn slots(&mut self, site: &str) -> Vec<Slot<'_>> {
        let [width, _] = self.c_proj.weight.lazy_shape().dims::<2>();
        let mut slots = vec![Slot {
            site: site.to_owned(),
            part: Some("prefix"),
            role: Role::Attention,
            widths: [width, width],
            holds: &mut self.prefix_part,
        }];
        slots.extend(self.c_attn.slots(format!("{site}.c_attn")));
        slots.push((self.c_proj).slot(format!("{site}.c_proj"), Role::AttentionProjection));
        slots.push(Slot {
            site: site.to_owned(),
            part: None,
            role: Role::AttentionBlock,
            widths: [width, width],
            holds: &mut self.adamix,
        });
        slots
    }
}
