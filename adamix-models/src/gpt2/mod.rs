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
pub use fused::{FusedAttentionMap, FusedLowRank};
pub use input::{DecoderInput, InputError};
pub use mlp::Mlp;
pub use transformer::{EmbeddingTable, Transformer};

use adamix_core::adaptation::{BottleneckConfig, LowRankConfig};
use adamix_core::merging::{MergeError, MergeRule};
use adamix_core::parameter::Named;
use adamix_core::routing::Site;
use adamix_keys::Key;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::hub::{HubError, Source, Weights};
use crate::pass::Pass;

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

impl Named for Gpt2 {}

impl Gpt2 {
    /// Builds the model from a folder's files, frozen. Names may lack the prefix `transformer.`.
    pub fn load(config: &Gpt2Config, weights: &Weights, device: &Device) -> Result<Self, HubError> {
        let files = Source::files(weights, device);
        let prefixed = weights.names().any(|name| name.starts_with("transformer."));
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

    /// The name of a layer's feed-forward half, where AdaMix's adapters sit.
    pub fn mlp_site(layer: usize) -> String {
        format!("transformer.h.{layer}.mlp")
    }

    /// The name of a layer's fused attention map, where low-rank mixtures sit.
    pub fn attention_site(layer: usize) -> String {
        format!("transformer.h.{layer}.attn.c_attn")
    }

    /// Puts a fresh mixture of adapters behind the feed-forward half of every layer
    /// ([`Gpt2Config::adapter`] gives the released shape).
    pub fn attach_adapters(mut self, config: &BottleneckConfig, key: Key, device: &Device) -> Self {
        for (i, block) in self.transformer.h.iter_mut().enumerate() {
            let key = key.purpose(&Self::mlp_site(i));
            block.mlp.adamix = Some(config.init(key, device));
        }
        self
    }

    /// Puts a fresh low-rank mixture on queries and values of every layer. With `equal_start` all layers
    /// start alike, as in the released code.
    pub fn attach_low_rank(mut self, config: &LowRankConfig, key: Key, device: &Device) -> Self {
        let width = self.config.n_embd;
        for (i, block) in self.transformer.h.iter_mut().enumerate() {
            let key = if config.equal_start {
                key.purpose("c_attn")
            } else {
                key.purpose(&Self::attention_site(i))
            };
            let mixture = FusedLowRank::init(width, config, key, device);
            block.attn.c_attn.adamix = Some(mixture);
        }
        self
    }

    /// The sites that have a mixture, from the first layer up.
    pub fn sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (i, block) in self.transformer.h.iter().enumerate() {
            if let Some(mixture) = &block.attn.c_attn.adamix {
                sites.push(Site {
                    name: Self::attention_site(i),
                    down: mixture.q.down.len(),
                    up: mixture.q.up.len(),
                });
            }
            if let Some(mixture) = &block.mlp.adamix {
                sites.push(Site {
                    name: Self::mlp_site(i),
                    down: mixture.down.len(),
                    up: mixture.up.len(),
                });
            }
        }
        sites
    }

    /// The model that serves: every mixture made one module by `rule`, outside autodiff.
    ///
    /// # Errors
    /// If the rule cannot merge one of them.
    pub fn merged(&self, rule: &dyn MergeRule) -> Result<Self, MergeError> {
        let mut model = self.valid();
        for (i, block) in model.transformer.h.iter_mut().enumerate() {
            if let Some(mixture) = &block.attn.c_attn.adamix {
                let path = format!("{}.adamix", Self::attention_site(i));
                block.attn.c_attn.adamix = Some(mixture.merged(rule, &path)?);
            }
            if let Some(mixture) = &block.mlp.adamix {
                let path = format!("{}.adamix", Self::mlp_site(i));
                block.mlp.adamix = Some(mixture.merged(rule, &path)?);
            }
        }
        Ok(model)
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
