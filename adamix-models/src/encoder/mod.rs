//! BERT and RoBERTa: one encoder, two embeddings, and its heads.
//!
//! Fields are named as in Hugging Face files, so a parameter's path is its name there.

#![allow(non_snake_case)] // `LayerNorm` is a name in those files.

mod attention;
mod classifier;
mod cloze;
mod config;
mod embeddings;
mod input;
mod layer;
mod masked_lm;
mod output;

pub use attention::{Attention, SelfAttention};
pub use classifier::{Pooling, RobertaHead, SequenceClassifier, SequenceClassifierConfig};
pub use cloze::{Cloze, ClozeHead, is_lm_head};
pub use config::{EncoderConfig, ModelType};
pub use embeddings::Embeddings;
pub use input::EncoderInput;
pub use layer::{Dense, EncoderLayer, Intermediate};
pub use masked_lm::{LmHead, MaskedLm, check_tied_head};
pub use output::BlockOutput;

use adamix_core::linear::Linear;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::hub::{HubError, Source, Weights};
use crate::mask::with_open_start;
use crate::pass::Pass;
use crate::site::Slot;

/// Embeddings, layers and BERT's pooler.
#[derive(Module, Debug)]
pub struct Encoder {
    /// Words, positions and token types.
    pub embeddings: Embeddings,
    /// The layers.
    pub encoder: LayerStack,
    /// BERT's tanh pooler, where the checkpoint has one.
    pub pooler: Option<Dense>,
    #[module(skip)]
    prefix: &'static str,
}

/// The layers under their name in files: `layer.0`, `layer.1`, …
#[derive(Module, Debug)]
pub struct LayerStack {
    /// From the embeddings up.
    pub layer: Vec<EncoderLayer>,
}

impl Encoder {
    /// Builds the encoder from a folder's files, whose names may lack the family's prefix; frozen.
    pub fn from_files(
        config: &EncoderConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, HubError> {
        let files = Source::files(weights, device);
        let prefix = config.model_type.prefix();
        let bare = !weights.names().any(|name| name.starts_with(prefix));
        Self::load(config, &if bare { files } else { files.at(prefix) })
    }

    /// Builds the encoder at a place of `source`.
    pub fn load(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let layers = source.at("encoder").at("layer");
        let layer = |i| EncoderLayer::load(config, &layers.at(i));
        let pooler = source.at("pooler").at("dense");
        let pooler = match config.model_type {
            ModelType::Bert if pooler.has("weight") => Some(Dense {
                dense: pooler.linear(
                    config.hidden_size,
                    config.hidden_size,
                    config.initializer_range,
                )?,
            }),
            _ => None,
        };
        Ok(Self {
            embeddings: Embeddings::load(config, &source.at("embeddings"))?,
            encoder: LayerStack {
                layer: (0..config.num_hidden_layers)
                    .map(layer)
                    .collect::<Result<_, _>>()?,
            },
            pooler,
            prefix: config.model_type.prefix(),
        })
    }

    /// Hidden states of the last layer. Passes that share a [`Below`](crate::pass::Below) run what lies below the first
    /// adaptation once.
    ///
    /// # Shapes
    /// - input: `[batch, tokens]` ids
    /// - output: `[batch, tokens, hidden]`
    pub fn forward(&self, input: &EncoderInput, pass: &Pass<'_>) -> Tensor<3> {
        let tokens = input.ids.dims()[1];
        let first = self.embeddings.virtual_tokens();
        let mask = with_open_start(input.mask.clone(), first);
        let pass = &pass.with_mask(&mask);
        let layers = &self.encoder.layer;
        let name = |i: usize| format!("{}.encoder.layer.{i}", self.prefix);
        let run = |x: Tensor<3>, i: usize| layers[i].forward(x, mask.clone(), pass, &name(i));
        // The first layer that a pass may run otherwise than another, and whether its lower half is alike in all.
        let start = layers.iter().position(|layer| !layer.is_plain());
        let start = start.unwrap_or(layers.len());
        let splits = layers.get(start).is_some_and(EncoderLayer::is_plain_below);
        let below = || {
            let place = format!("{}.embeddings", self.prefix);
            let x = self.embeddings.forward(input, pass, &place);
            let x = (0..start).fold(x, run);
            match splits {
                true => Vec::from(layers[start].lower(x, mask.clone(), pass, &name(start))),
                false => vec![x],
            }
        };
        let state = match pass.below.filter(|_| self.is_alike_below(start, pass)) {
            Some(shared) => shared.or_else(below),
            None => below(),
        };
        let (x, next) = match <[Tensor<3>; 2]>::try_from(state) {
            Ok(lower) => (layers[start].upper(lower, pass, &name(start)), start + 1),
            Err(mut state) => (state.remove(0), start),
        };
        let x = (next..layers.len()).fold(x, run);
        match first {
            0 => x,
            _ => x.narrow(1, first, tokens),
        }
    }

    /// Whether a pass draws and drops nothing up to the middle of a layer that is plain below it.
    fn is_alike_below(&self, layer: usize, pass: &Pass<'_>) -> bool {
        let mut layers = self.encoder.layer.iter().take(layer + 1);
        let drops = self.embeddings.drops() || layers.any(EncoderLayer::drops);
        self.embeddings.virtual_tokens() == 0 && !(pass.dropout.is_some() && drops)
    }

    /// Every place for an adaptation.
    pub(crate) fn slots(&mut self) -> Vec<Slot<'_>> {
        let prefix = self.prefix;
        let words = self.embeddings.slot(&format!("{prefix}.embeddings"));
        let layers = self.encoder.layer.iter_mut().enumerate();
        let layers =
            layers.flat_map(|(i, layer)| layer.slots(&format!("{prefix}.encoder.layer.{i}")));
        core::iter::once(words).chain(layers).collect()
    }

    pub(super) fn position_shift(&self) -> usize {
        self.embeddings.position_shift()
    }

    pub(crate) fn shift_positions(&mut self, by: usize) {
        self.embeddings.shift_positions(by);
    }

    /// The pooler's `tanh(W h)` of the first token.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens, hidden]`
    /// - output: `[batch, hidden]`, or `None` without a pooler
    pub fn pool(&self, hidden: &Tensor<3>) -> Option<Tensor<2>> {
        let dense: &Linear = &self.pooler.as_ref()?.dense;
        Some(dense.forward(first_token(hidden)).tanh())
    }
}

/// # Shapes
/// - hidden: `[batch, tokens, hidden]`
/// - output: `[batch, hidden]`
fn first_token(hidden: &Tensor<3>) -> Tensor<2> {
    hidden.clone().narrow(1, 0, 1).squeeze_dim(1)
}
