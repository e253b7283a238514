//! GPT-2 of any size: the decoder, its adaptations and its decoding.
//!
//! Fields are named as in Hugging Face files, so a parameter's path is its name there.

mod attention;
mod block;
mod cache;
mod config;
mod conv1d;
mod fused;
pub mod generate;
mod input;
mod mlp;
mod transformer;

pub use attention::Attention;
pub use block::Block;
pub use cache::Cache;
pub use config::{Gpt2Config, TokenIds};
pub use conv1d::Conv1D;
pub use fused::FusedAttentionMap;
pub use input::{DecoderInput, InputError};
pub use mlp::Mlp;
pub use transformer::{EmbeddingTable, Transformer};

use adamix_core::adaptation::{AdaptationConfig, Placement};
use adamix_core::parameter::Named;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::hub::{HubError, Source, Weights};
use crate::pass::Pass;
use crate::site::{Adaptable, Slot};

/// GPT-2 with its language-model head.
#[derive(Module, Debug)]
pub struct Gpt2 {
    /// The decoder.
    pub transformer: Transformer,
    /// The head, where it is not the embedding table: `[vocabulary, width]`.
    pub lm_head: Option<EmbeddingTable>,
    #[module(skip)]
    config: Gpt2Config,
}

impl Named for Gpt2 {
    fn renames(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("q_part", "adamix.q"),
            ("k_part", "adamix.k"),
            ("v_part", "adamix.v"),
            ("prefix_part", "adamix.prefix"),
        ]
    }
}

impl Adaptable for Gpt2 {
    const IS_CAUSAL: bool = true;

    fn slots(&mut self) -> Vec<Slot<'_>> {
        self.transformer.slots()
    }

    fn shift_positions(&mut self, by: usize) {
        self.transformer.shift_positions(by);
    }

    fn refuses(config: &AdaptationConfig) -> Option<&'static str> {
        let (norm, gate) = match config {
            AdaptationConfig::Bottleneck(config) => {
                (config.placement == Placement::Norm, config.gate)
            }
            AdaptationConfig::LowRank(config) => (false, config.gate),
            AdaptationConfig::Prefix(config) => (false, config.gate),
            _ => (false, false),
        };
        match (norm, gate) {
            (true, _) => Some(": GPT-2 has no norm after its blocks"),
            (_, true) => Some(": its gate reads the whole sequence, which a decoder has not seen"),
            _ => None,
        }
    }
}

impl Gpt2 {
    /// Builds the model from a folder's files, frozen. Names may lack the prefix `transformer.`.
    ///
    /// # Errors
    /// If a tensor is missing or of another shape, or a head that is tied is not the embedding table.
    pub fn load(config: &Gpt2Config, weights: &Weights, device: &Device) -> Result<Self, HubError> {
        let files = Source::files(weights, device);
        let prefixed = weights.names().any(|name| name.starts_with("transformer."));
        if config.tie_word_embeddings {
            let table = match prefixed {
                true => "transformer.wte.weight",
                false => "wte.weight",
            };
            weights.check_tied("lm_head.weight", table)?;
        }
        let base = if prefixed {
            files.at("transformer")
        } else {
            files.clone()
        };
        Self::compose(config, &base, &files)
    }

    /// Builds the model with every parameter from `source`.
    pub fn build(config: &Gpt2Config, source: &Source<'_>) -> Result<Self, HubError> {
        Self::compose(config, &source.at("transformer"), source)
    }

    fn compose(
        config: &Gpt2Config,
        base: &Source<'_>,
        root: &Source<'_>,
    ) -> Result<Self, HubError> {
        let head = || EmbeddingTable::load(config.vocab_size, config, &root.at("lm_head"));
        Ok(Self {
            transformer: Transformer::load(config, base)?,
            lm_head: if config.tie_word_embeddings {
                None
            } else {
                Some(head()?)
            },
            config: config.clone(),
        })
    }

    /// How many tokens a text may have, behind the positions that an adaptation takes for itself.
    pub fn longest_text(&self) -> usize {
        (self.config.n_positions).saturating_sub(self.transformer.shift())
    }

    /// The dimensions with the positions that are left for a text.
    pub fn for_texts(&self) -> Gpt2Config {
        Gpt2Config {
            n_positions: self.longest_text(),
            ..self.config.clone()
        }
    }

    /// Whether a tensor of a checkpoint may stay unread: the causal masks that old files carry, and the
    /// copy of the embedding table under the head's name.
    pub fn is_surplus(&self, name: &str) -> bool {
        let tied = self.lm_head.is_none() && name == "lm_head.weight";
        tied || name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
    }

    /// The model's dimensions.
    pub fn config(&self) -> &Gpt2Config {
        &self.config
    }

    /// Vocabulary logits of hidden states.
    ///
    /// # Shapes
    /// - input: `[..., width]`
    /// - output: `[..., vocabulary]`
    pub fn logits<const D: usize>(&self, hidden: Tensor<D>) -> Tensor<D> {
        let table = self.lm_head.as_ref().unwrap_or(&self.transformer.wte);
        adamix_kernels::linear(hidden, table.weight.val().transpose(), None)
    }

    /// Vocabulary logits at every position.
    ///
    /// # Shapes
    /// - input: `[batch, tokens]` ids
    /// - output: `[batch, tokens, vocabulary]`
    pub fn forward(&self, input: &DecoderInput, pass: &Pass<'_>) -> Tensor<3> {
        self.logits(self.transformer.forward(input, None, pass))
    }

    /// Vocabulary logits at chosen positions only, such as those that a loss is taken at.
    ///
    /// # Shapes
    /// - `places`: indices into the flattened `batch * tokens`
    /// - output: `[places, vocabulary]`
    pub fn logits_at(&self, input: &DecoderInput, places: &[i32], pass: &Pass<'_>) -> Tensor<2> {
        let hidden = self.transformer.forward(input, None, pass);
        let [batch, tokens, width] = hidden.dims();
        let places = Tensor::<1, Int>::from_data(places, &hidden.device());
        let chosen = hidden.reshape([batch * tokens, width]).select(0, places);
        self.logits(chosen)
    }
}
