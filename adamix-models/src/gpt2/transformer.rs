//! Embeddings, layers and the last norm: GPT-2 below its head.

use adamix_core::adaptation::Adaptation;
use adamix_core::layer_norm::LayerNorm;
use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::embedding;

use super::{Block, Cache, DecoderInput, Gpt2Config};
use crate::hub::{HubError, Source};
use crate::mask::with_open_start;
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// A table of vectors.
#[derive(Module, Debug)]
pub struct EmbeddingTable {
    /// `[rows, width]`.
    pub weight: Param<Tensor<2>>,
    /// Virtual tokens before the sequence; of word embeddings only.
    pub adamix: Option<Adaptation>,
}

impl EmbeddingTable {
    /// Builds the table at a place of `source`.
    pub fn load(rows: usize, config: &Gpt2Config, source: &Source<'_>) -> Result<Self, HubError> {
        let normal = Initializer::Normal(config.initializer_range);
        Ok(Self {
            weight: source.parameter("weight", [rows, config.n_embd], normal)?,
            adamix: None,
        })
    }
}

/// The decoder without its head.
#[derive(Module, Debug)]
pub struct Transformer {
    /// One row a token id.
    pub wte: EmbeddingTable,
    /// One row a position.
    pub wpe: EmbeddingTable,
    /// The layers, from the embeddings up.
    pub h: Vec<Block>,
    /// After the last layer.
    pub ln_f: LayerNorm,
    dropout: f64,
    /// How many positions are counted before the first token.
    shift: usize,
}

impl Transformer {
    /// Builds the decoder at a place of `source`.
    pub fn load(config: &Gpt2Config, source: &Source<'_>) -> Result<Self, HubError> {
        let layers = source.at("h");
        let layer = |i| Block::load(config, i, &layers.at(i));
        let (width, epsilon) = (config.n_embd, config.layer_norm_epsilon);
        Ok(Self {
            wte: EmbeddingTable::load(config.vocab_size, config, &source.at("wte"))?,
            wpe: EmbeddingTable::load(config.n_positions, config, &source.at("wpe"))?,
            h: (0..config.n_layer).map(layer).collect::<Result<_, _>>()?,
            ln_f: source.at("ln_f").layer_norm(width, epsilon)?,
            dropout: config.embd_pdrop,
            shift: 0,
        })
    }

    /// Hidden states after the last norm. With a cache the input continues what the cache has read, and
    /// is read into it. Passes that share a [`Below`](crate::pass::Below) run what lies below the first adaptation once.
    ///
    /// # Shapes
    /// - input: `[batch, tokens]` ids
    /// - output: `[batch, tokens, width]`
    pub fn forward(
        &self,
        input: &DecoderInput,
        mut cache: Option<&mut Cache>,
        pass: &Pass<'_>,
    ) -> Tensor<3> {
        let [rows, tokens] = input.ids.dims();
        let mut positions = input.positions.clone();
        if self.shift > 0 {
            positions = positions + self.shift as i32;
        }
        let words = embedding(self.wte.weight.val(), input.ids.clone());
        let mut x = words + embedding(self.wpe.weight.val(), positions);
        let (mut mask, mut counted) = (input.mask.clone(), input.counted.clone());
        match (self.virtual_tokens(rows, pass), &mut cache) {
            (Some(first), Some(cache)) if cache.tokens() == 0 => {
                // Read on their own, so that padding stays at the left of what is read next.
                cache.begin(None, [rows, first.dims()[1]]);
                self.layers(first, None, Some(&mut **cache), pass);
            }
            (Some(first), None) => {
                let length = first.dims()[1];
                [mask, counted] = [mask, counted].map(|m| Some(with_open_start(m?, length)));
                x = Tensor::cat(vec![first, x], 1);
            }
            _ => {}
        }
        if let Some(cache) = &mut cache {
            cache.begin(input.mask.as_ref(), [rows, tokens]);
        }
        if let Some(dropout) = pass.dropout_at("transformer.drop", self.dropout) {
            x = adamix_kernels::dropout(x, &dropout);
        }
        let counting = counted.as_ref().map(|counted| pass.with_mask(counted));
        let x = self.layers(x, mask, cache, counting.as_ref().unwrap_or(pass));
        let first = x.dims()[1] - tokens;
        self.ln_f.forward(x.narrow(1, first, tokens))
    }

    /// # Shapes
    /// - `x` and output: `[batch, tokens, width]`
    fn layers(
        &self,
        x: Tensor<3>,
        mask: Option<Tensor<2>>,
        mut cache: Option<&mut Cache>,
        pass: &Pass<'_>,
    ) -> Tensor<3> {
        let site = |i: usize| format!("transformer.h.{i}");
        let is_cached = cache.is_some();
        let mut run = |x: Tensor<3>, i: usize| {
            (self.h[i]).forward(x, mask.clone(), cache.as_deref_mut(), pass, &site(i))
        };
        // The first layer that a pass may run otherwise than another, if its lower half is alike in all.
        let start = self.h.iter().position(|block| !block.is_plain());
        let start = start.filter(|i| self.h[*i].is_plain_below() && self.is_alike_below(*i, pass));
        let (Some(shared), Some(start), false) = (pass.below, start, is_cached) else {
            return (0..self.h.len()).fold(x, run);
        };
        let below = || {
            let x = (0..start).fold(x, &mut run);
            Vec::from(self.h[start].lower(x, mask.clone(), None, pass, &site(start)))
        };
        let lower = shared.or_else(below).try_into();
        let x = self.h[start].upper(lower.expect("three states"), pass, &site(start));
        (start + 1..self.h.len()).fold(x, run)
    }

    /// Whether a pass draws and drops nothing up to the middle of a layer that is plain below it.
    fn is_alike_below(&self, layer: usize, pass: &Pass<'_>) -> bool {
        let mut layers = self.h.iter().take(layer + 1);
        let drops = self.dropout > 0.0 || layers.any(Block::drops);
        self.wte.adamix.is_none() && !(pass.dropout.is_some() && drops)
    }

    /// Virtual tokens with their positions, if there are some.
    fn virtual_tokens(&self, rows: usize, pass: &Pass<'_>) -> Option<Tensor<3>> {
        let adaptation = self.wte.adamix.as_ref()?;
        let tokens = adaptation.virtual_tokens()?;
        let first = tokens.forward(rows, &pass.context("transformer.wte", adaptation));
        let positions = self.wpe.weight.val().narrow(0, 0, tokens.length());
        Some(first + positions.unsqueeze())
    }

    pub(super) fn slots(&mut self) -> Vec<Slot<'_>> {
        let [_, width] = self.wte.weight.lazy_shape().dims();
        let words = Slot {
            site: "transformer.wte".to_owned(),
            part: None,
            role: Role::Words,
            widths: [width, width],
            holds: &mut self.wte.adamix,
        };
        let layers = self.h.iter_mut().enumerate();
        let layers = layers.flat_map(|(i, block)| block.slots(&format!("transformer.h.{i}")));
        core::iter::once(words).chain(layers).collect()
    }

    pub(super) fn shift(&self) -> usize {
        self.shift
    }

    pub(super) fn shift_positions(&mut self, by: usize) {
        self.shift = by;
    }
}
