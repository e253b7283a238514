//! What a token brings into the first layer: its word, its position, its type.

use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::embedding;

use super::{EncoderConfig, EncoderInput, LayerNorm};
use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// A table of vectors.
#[derive(Module, Debug)]
pub struct Table {
    /// `[rows, hidden]`.
    pub weight: Param<Tensor<2>>,
}

impl Table {
    fn load(rows: usize, config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let initializer = Initializer::Normal(config.initializer_range);
        Ok(Self {
            weight: source.parameter("weight", [rows, config.hidden_size], initializer)?,
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
}

impl Embeddings {
    /// Builds the tables at a place of `source`.
    pub fn load(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let table = |name, rows| Table::load(rows, config, &source.at(name));
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_position_embeddings)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            LayerNorm: LayerNorm::load(
                config.hidden_size,
                config.layer_norm_eps,
                &source.at("LayerNorm"),
            )?,
            dropout: config.hidden_dropout_prob,
        })
    }

    /// # Shapes
    /// - output: `[batch, tokens, hidden]`
    pub fn forward(&self, input: &EncoderInput, pass: &Pass<'_>) -> Tensor<3> {
        let words = embedding(self.word_embeddings.weight.val(), input.ids.clone());
        let types = embedding(self.token_type_embeddings.weight.val(), input.types.clone());
        let positions = embedding(
            self.position_embeddings.weight.val(),
            input.positions.clone(),
        );
        let x = self.LayerNorm.forward(words + types + positions);
        match pass.dropout_at("embeddings", self.dropout) {
            Some(dropout) => adamix_kernels::dropout(x, &dropout),
            None => x,
        }
    }
}
