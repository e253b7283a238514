//! What a token brings into the first layer: its word, its position, its type.

use adamix_core::adaptation::Adaptation;
use adamix_core::layer_norm::LayerNorm;
use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::module::embedding;
use burn::tensor::{Int, Tensor};

use super::{EncoderConfig, EncoderInput, ModelType};
use crate::hub::{HubError, Source};
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// A table of vectors.
#[derive(Module, Debug)]
pub struct Table {
    /// `[rows, hidden]`.
    pub weight: Param<Tensor<2>>,
    /// Virtual tokens before the sequence; of word embeddings only.
    pub adamix: Option<Adaptation>,
}

impl Table {
    fn load(rows: usize, config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let initializer = Initializer::Normal(config.initializer_range);
        Ok(Self {
            weight: source.parameter("weight", [rows, config.hidden_size], initializer)?,
            adamix: None,
        })
    }
}

/// The sum of three tables, normalised.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// One row a token id.
    pub word_embeddings: Table,
    /// One row a position.
    pub position_embeddings: Table,
    /// One row a token type.
    pub token_type_embeddings: Table,
    /// Over the sum.
    pub LayerNorm: LayerNorm,
    dropout: f64,
    /// The id of the first token's position.
    first_position: usize,
    /// How many positions are counted before the first token.
    shift: usize,
}

impl Embeddings {
    /// Builds the tables at a place of `source`.
    pub fn load(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let table = |name, rows| Table::load(rows, config, &source.at(name));
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_position_embeddings)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            LayerNorm: source
                .at("LayerNorm")
                .layer_norm(config.hidden_size, config.layer_norm_eps)?,
            dropout: config.hidden_dropout_prob,
            first_position: match config.model_type {
                ModelType::Bert => 0,
                ModelType::Roberta => config.pad_id() as usize + 1,
            },
            shift: 0,
        })
    }

    /// What the first layer reads: `first` virtual tokens, then the input's.
    ///
    /// # Shapes
    /// - output: `[batch, first + tokens, hidden]`
    pub fn forward(&self, input: &EncoderInput, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        let mut words = embedding(self.word_embeddings.weight.val(), input.ids.clone());
        let mut types = input.types.clone();
        let mut positions = input.positions.clone();
        if self.shift > 0 {
            positions = positions + self.shift as i32;
        }
        if let Some(adaptation) = &self.word_embeddings.adamix
            && let Some(tokens) = adaptation.virtual_tokens()
        {
            let site = format!("{site}.word_embeddings");
            let shape = [words.dims()[0], tokens.length()];
            let first = tokens.forward(shape[0], &pass.context(&site, adaptation));
            words = Tensor::cat(vec![first, words], 1);
            let start = self.first_position as i64;
            let places = start..start + shape[1] as i64;
            let places = Tensor::<1, Int>::arange(places, &types.device());
            let places = places.unsqueeze::<2>().expand(shape);
            positions = Tensor::cat(vec![places, positions], 1);
            types = Tensor::cat(vec![Tensor::zeros(shape, &types.device()), types], 1);
        }
        let types = embedding(self.token_type_embeddings.weight.val(), types);
        let positions = embedding(self.position_embeddings.weight.val(), positions);
        let x = self.LayerNorm.forward(words + types + positions);
        match pass.dropout_at("embeddings", self.dropout) {
            Some(dropout) => adamix_kernels::dropout(x, &dropout),
            None => x,
        }
    }

    /// How many virtual tokens stand before the input's.
    pub fn virtual_tokens(&self) -> usize {
        let held = self.word_embeddings.adamix.as_ref();
        held.and_then(Adaptation::virtual_tokens)
            .map_or(0, |tokens| tokens.length())
    }

    /// Whether anything is dropped in training.
    pub(super) fn drops(&self) -> bool {
        self.dropout > 0.0
    }

    pub(super) fn position_shift(&self) -> usize {
        self.shift
    }

    pub(super) fn shift_positions(&mut self, by: usize) {
        self.shift = by;
    }

    pub(super) fn slot(&mut self, site: &str) -> Slot<'_> {
        let hidden = self.word_embeddings.weight.lazy_shape()[1];
        Slot {
            site: format!("{site}.word_embeddings"),
            part: None,
            role: Role::Words,
            widths: [hidden, hidden],
            holds: &mut self.word_embeddings.adamix,
        }
    }
}
