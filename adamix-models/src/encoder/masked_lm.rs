//! The masked language model: an encoder with the head that its pretraining used.

use adamix_core::layer_norm::LayerNorm;
use adamix_core::linear::Linear;
use adamix_core::parameter::Named;
use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use super::{Encoder, EncoderConfig, EncoderInput, ModelType};
use crate::hub::{HubError, Source, Weights};
use crate::pass::Pass;
use crate::site::{Adaptable, Slot};

/// `decoder(norm(gelu(dense(h)))) + bias`, the decoder tied to the word embeddings.
#[derive(Module, Debug)]
pub struct LmHead {
    /// `[hidden, hidden]`.
    pub dense: Linear,
    /// Over the transformed state.
    pub layer_norm: LayerNorm,
    /// `[vocabulary]`.
    pub bias: Param<Tensor<1>>,
}

/// An encoder with its masked-LM head. Names are RoBERTa's; BERT's files spell them
/// `cls.predictions.transform.dense`, `….transform.LayerNorm` and `cls.predictions.bias`.
#[derive(Module, Debug)]
pub struct MaskedLm {
    /// `bert` or `roberta` in files.
    pub base: Encoder,
    /// The head.
    pub lm_head: LmHead,
    #[module(skip)]
    prefix: &'static str,
}

impl Named for MaskedLm {
    fn renames(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("base", self.prefix),
            ("self_attention", "self"),
            ("map", ""),
        ]
    }
}

impl Adaptable for MaskedLm {
    fn slots(&mut self) -> Vec<Slot<'_>> {
        self.base.slots()
    }

    fn shift_positions(&mut self, by: usize) {
        self.base.shift_positions(by);
    }
}

impl MaskedLm {
    /// Builds the model from a folder's files.
    pub fn load(
        config: &EncoderConfig,
        weights: &Weights,
        device: &burn::tensor::Device,
    ) -> Result<Self, HubError> {
        Self::build(config, &Source::files(weights, device))
    }

    /// Builds the model with every parameter from `source`.
    pub fn build(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        let prefix = config.model_type.prefix();
        let (dense, norm, bias) = match config.model_type {
            ModelType::Roberta => {
                let head = source.at("lm_head");
                (head.at("dense"), head.at("layer_norm"), head)
            }
            ModelType::Bert => {
                let head = source.at("cls").at("predictions");
                (
                    head.at("transform").at("dense"),
                    head.at("transform").at("LayerNorm"),
                    head,
                )
            }
        };
        let hidden = config.hidden_size;
        Ok(Self {
            base: Encoder::load(config, &source.at(prefix))?,
            lm_head: LmHead {
                dense: dense.linear(hidden, hidden, config.initializer_range)?,
                layer_norm: norm.layer_norm(hidden, config.layer_norm_eps)?,
                bias: bias.parameter("bias", [config.vocab_size], Initializer::Zeros)?,
            },
            prefix,
        })
    }

    /// Vocabulary logits at chosen places.
    ///
    /// # Shapes
    /// - `places`: `[n]`, indices into the flattened `batch * tokens`
    /// - output: `[n, vocabulary]`
    pub fn forward(
        &self,
        input: &EncoderInput,
        places: Tensor<1, Int>,
        pass: &Pass<'_>,
    ) -> Tensor<2> {
        let hidden = self.base.forward(input, pass);
        let [batch, tokens, width] = hidden.dims();
        let chosen = hidden.reshape([batch * tokens, width]).select(0, places);
        let x = self
            .lm_head
            .layer_norm
            .forward(adamix_kernels::gelu(self.lm_head.dense.forward(chosen)));
        let words = self.base.embeddings.word_embeddings.weight.val();
        x.matmul(words.transpose()) + self.lm_head.bias.val().unsqueeze()
    }
}
