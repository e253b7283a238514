//! Causal self-attention with its output projection.

use adamix_core::adaptation::Adaptation;
use burn::module::Module;
use burn::tensor::Tensor;

use super::cache::attend_once;
use super::{Cache, Conv1D, FusedAttentionMap, Gpt2Config};
use crate::block::BlockAdapter;
use crate::hub::{HubError, Source};
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
    /// that stand before the first token: they are attended to, and give nothing themselves; in a
    /// layer they take the place of a prefix. With a cache, whose own mask counts, no probability is dropped.
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
        let first = match is_start {
            true => self.first(before, &x, pass, site),
            false => None,
        };
        let [q, k, v] = (self.c_attn).forward(x.clone(), pass, &format!("{site}.c_attn"));
        let q = if self.factor == 1.0 {
            q
        } else {
            q * self.factor
        };
        let y = match cache {
            Some(cache) => cache.attend(self.layer, first, [q, k, v]),
            None => {
                let place = format!("{site}.attn_dropout");
                let dropout = pass.dropout_at(&place, self.attention_dropout);
                attend_once(q, k, v, first, mask, dropout.as_ref())
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

    /// Whether anything is dropped in training.
    pub(super) fn drops(&self) -> bool {
        self.attention_dropout > 0.0 || self.residual_dropout > 0.0
    }

    /// Whether nothing is attached.
    pub(super) fn is_plain(&self) -> bool {
        self.adamix.is_none()
            && self.prefix_part.is_none()
            && self.c_proj.adamix.is_none()
            && self.c_attn.is_plain()
    }

    /// Keys and values before those of the tokens: a prefix's, or those of hidden states `before`.
    fn first(
        &self,
        before: Option<Tensor<3>>,
        x: &Tensor<3>,
        pass: &Pass<'_>,
        site: &str,
    ) -> Option<[Tensor<4>; 2]> {
        if let Some(states) = before {
            let site = format!("{site}.c_attn");
            let [_, keys, values] = self.c_attn.forward(states, pass, &site);
            return Some([keys, values]);
        }
        let adaptation = self.prefix_part.as_ref()?;
        let [batch, _, width] = x.dims();
        let split = |table: Tensor<3>| {
            let shape = [batch, table.dims()[1], self.heads, width / self.heads];
            table.reshape(shape).swap_dims(1, 2)
        };
        let context = pass.context(site, adaptation);
        Some(
            (adaptation.prefix()?)
                .forward(x.clone(), &context)
                .map(split),
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
