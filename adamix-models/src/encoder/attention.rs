//! Multi-head self-attention with its output block.

use adamix_core::adaptation::Adaptation;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{BlockOutput, EncoderConfig};
use crate::Projection;
use crate::hub::{HubError, Source};
use crate::mask::with_open_start;
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// Query, key and value projections.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `[hidden, hidden]`.
    pub query: Projection,
    /// `[hidden, hidden]`.
    pub key: Projection,
    /// `[hidden, hidden]`.
    pub value: Projection,
    /// A prefix of keys and values.
    pub adamix: Option<Adaptation>,
    heads: usize,
    dropout: f64,
}

/// The attention block of a layer.
#[derive(Module, Debug)]
pub struct Attention {
    /// `self` in files.
    pub self_attention: SelfAttention,
    /// What follows it.
    pub output: BlockOutput,
}

impl Attention {
    /// Builds the block at a place of `source`.
    pub fn load(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let hidden = config.hidden_size;
        let inner = source.at("self");
        let projection = |name| {
            let place = inner.at(name);
            let map = place.linear(hidden, hidden, config.initializer_range)?;
            Ok::<_, HubError>(Projection::new(map))
        };
        Ok(Self {
            self_attention: SelfAttention {
                query: projection("query")?,
                key: projection("key")?,
                value: projection("value")?,
                adamix: None,
                heads: config.num_attention_heads,
                dropout: config.attention_probs_dropout_prob,
            },
            output: BlockOutput::load(hidden, config, &source.at("output"))?,
        })
    }

    /// Runs the block; `layer` is the name of its layer. `before` are hidden states that stand before the
    /// tokens: they are attended to, and give nothing themselves.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, hidden]`
    /// - `before`: `[batch, any, hidden]`
    /// - `mask`: `[batch, tokens]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        before: Option<Tensor<3>>,
        mask: Tensor<2>,
        pass: &Pass<'_>,
        layer: &str,
    ) -> Tensor<3> {
        let y = (self.self_attention).forward(x.clone(), before, mask, pass, layer);
        let site = format!("{layer}.attention.output");
        let dropped = format!("{layer}.output.attention.output");
        self.output.forward(y, x, pass, &site, &dropped)
    }

    /// Whether anything is dropped in training.
    pub(super) fn drops(&self) -> bool {
        self.self_attention.dropout > 0.0 || self.output.drops()
    }

    /// Whether nothing is attached.
    pub(super) fn is_plain(&self) -> bool {
        let inner = &self.self_attention;
        let maps = [&inner.query, &inner.key, &inner.value, &self.output.dense];
        maps.iter().all(|map| map.adamix.is_none())
            && inner.adamix.is_none()
            && self.output.adamix.is_none()
    }

    pub(super) fn slots(&mut self, layer: &str) -> Vec<Slot<'_>> {
        let site = format!("{layer}.attention.self");
        let inner = &mut self.self_attention;
        let hidden = inner.query.map.shape()[0];
        let mut slots = vec![Slot {
            site: site.clone(),
            part: None,
            role: Role::Attention,
            widths: [hidden, hidden],
            holds: &mut inner.adamix,
        }];
        let projections = [
            ("query", Role::Query, &mut inner.query),
            ("key", Role::Key, &mut inner.key),
            ("value", Role::Value, &mut inner.value),
        ];
        slots.extend(projections.map(|(name, role, projection)| Slot {
            site: format!("{site}.{name}"),
            part: None,
            role,
            widths: projection.map.shape(),
            holds: &mut projection.adamix,
        }));
        let site = format!("{layer}.attention.output");
        let (map, block) = (Role::AttentionProjection, Role::AttentionBlock);
        slots.extend(self.output.slots(&site, map, block));
        slots
    }
}

impl SelfAttention {
    fn forward(
        &self,
        x: Tensor<3>,
        before: Option<Tensor<3>>,
        mask: Tensor<2>,
        pass: &Pass<'_>,
        layer: &str,
    ) -> Tensor<3> {
        let [batch, tokens, hidden] = x.dims();
        let split = |y: Tensor<3>| {
            let length = y.dims()[1];
            y.reshape([batch, length, self.heads, hidden / self.heads])
                .swap_dims(1, 2)
        };
        let site = format!("{layer}.attention.self");
        let read = match before {
            Some(states) => Tensor::cat(vec![states, x.clone()], 1),
            None => x.clone(),
        };
        let query = (self.query).forward(x.clone(), pass, &format!("{site}.query"));
        let mut key = (self.key).forward(read.clone(), pass, &format!("{site}.key"));
        let mut value = (self.value).forward(read, pass, &format!("{site}.value"));
        if let Some(adaptation) = &self.adamix
            && let Some(prefix) = adaptation.prefix()
        {
            let [first_keys, first_values] = prefix.forward(x, &pass.context(&site, adaptation));
            key = Tensor::cat(vec![first_keys, key], 1);
            value = Tensor::cat(vec![first_values, value], 1);
        }
        let mask = with_open_start(mask, key.dims()[1] - tokens);
        let dropped = format!("{layer}.output.attention.self");
        let dropout = pass.dropout_at(&dropped, self.dropout);
        let y = adamix_kernels::attention(
            split(query),
            split(key),
            split(value),
            mask,
            dropout.as_ref(),
        );
        y.swap_dims(1, 2).reshape([batch, tokens, hidden])
    }
}
