//! Embeddings, layers and the last norm: GPT-2 below its head.

use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::embedding;

use super::{Block, Cache, DecoderInput, Gpt2Config};
use crate::encoder::LayerNorm;
use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// A table of vectors.
#[derive(Module, Debug)]
pub struct EmbeddingTable {
    /// `[rows, width]`.
    pub weight: Param<Tensor<2>>,
}

impl EmbeddingTable {
    /// Builds the table at a place of `source`.
    pub fn load(rows: usize, config: &Gpt2Config, source: &Source<'_>) -> Result<Self, HubError> {
        let normal = Initializer::Normal(config.initializer_range);
        Ok(Self {
            weight: source.parameter("weight", [rows, config.n_embd], normal)?,
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
            ln_f: LayerNorm::load(width, epsilon, &source.at("ln_f"))?,
            dropout: config.embd_pdrop,
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
        if let Some(cache) = &mut cache {
            cache.begin(input.mask.as_ref(), input.ids.dims());
        }
        let words = embedding(self.wte.weight.val(), input.ids.clone());
        let positions = embedding(self.wpe.weight.val(), input.positions.clone());
        let mut x = words + positions;
        if let Some(dropout) = pass.dropout_at("transformer.drop", self.dropout) {
            x = adamix_kernels::dropout(x, &dropout);
        }
        for (i, block) in self.h.iter().enumerate() {
            let site = format!("transformer.h.{i}");
            x = block.forward(x, input.mask.clone(), cache.as_deref_mut(), pass, &site);
        }
        self.ln_f.forward(x)
    }
}
