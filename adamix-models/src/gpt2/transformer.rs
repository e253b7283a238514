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
    /// is read into it.
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
        let tokens = input.ids.dims()[1];
        let mut positions = input.positions.clone();
        if self.shift > 0 {
            positions = positions + self.shift as i32;
        }
        let words = embedding(self.wte.weight.val(), input.ids.clone());
        let mut x = words + embedding(self.wpe.weight.val(), positions);
        let is_start = cache.as_ref().is_none_or(|cache| cache.tokens() == 0);
        if let Some(first) = self.virtual_tokens(x.dims()[0], pass).filter(|_| is_start) {
            x = Tensor::cat(vec![first, x], 1);
        }
        let [rows, all, _] = x.dims();
        let mask = (input.mask.clone()).map(|mask| with_open_start(mask, all - tokens));
        if let Some(cache) = &mut cache {
            cache.begin(input.mask.as_ref(), [rows, tokens], all - tokens);
        }
        if let Some(dropout) = pass.dropout_at("transformer.drop", self.dropout) {
            x = adamix_kernels::dropout(x, &dropout);
        }
        for (i, block) in self.h.iter().enumerate() {
            let site = format!("transformer.h.{i}");
            x = block.forward(x, mask.clone(), cache.as_deref_mut(), pass, &site);
        }
        self.ln_f.forward(x.narrow(1, all - tokens, tokens))
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

    pub(super) fn shift_positions(&mut self, by: usize) {
        self.shift = by;
    }
}
