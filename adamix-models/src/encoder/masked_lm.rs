//! The masked language model: an encoder with the head that its pretraining used.

use adamix_core::layer_norm::LayerNorm;
use adamix_core::linear::Linear;
use adamix_core::parameter::Named;
use adamix_core::random::Initializer;
use adamix_keys::Key;
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use super::{Encoder, EncoderConfig, EncoderInput, ModelType};
use crate::hub::{HubError, Source, Weights};
use crate::pass::Pass;
use crate::site::{Adaptable, Slot};

/// `decoder(norm(gelu(transform(h)))) + bias`, the decoder tied to the word embeddings.
#[derive(Module, Debug)]
pub struct LmHead {
    /// `[hidden, hidden]`.
    pub transform: Linear,
    /// Over the transformed state. Not just `norm`: an adapter has a field of that name, which keeps it in files.
    pub head_norm: LayerNorm,
    /// `[vocabulary]`.
    pub bias: Param<Tensor<1>>,
}

/// An encoder with its masked-LM head.
#[derive(Module, Debug)]
pub struct MaskedLm {
    /// `bert` or `roberta` in files.
    pub base: Encoder,
    /// The head: `lm_head` in RoBERTa's files, `cls.predictions` in BERT's.
    pub lm_head: LmHead,
    #[module(skip)]
    family: ModelType,
}

/// Where a family's files have the head, its transform and its norm.
fn head_names(family: ModelType) -> [&'static str; 3] {
    match family {
        ModelType::Roberta => ["lm_head", "dense", "layer_norm"],
        ModelType::Bert => ["cls.predictions", "transform.dense", "transform.LayerNorm"],
    }
}

impl Named for MaskedLm {
    fn renames(&self) -> Vec<(&'static str, &'static str)> {
        let family = [
            ("base", self.family.prefix()),
            ("self_attention", "self"),
            ("map", ""),
        ];
        family
            .into_iter()
            .chain(head_renames(self.family))
            .collect()
    }
}

/// The head's fields under the family's names.
pub(super) fn head_renames(family: ModelType) -> [(&'static str, &'static str); 3] {
    let [head, transform, norm] = head_names(family);
    [
        ("lm_head", head),
        ("transform", transform),
        ("head_norm", norm),
    ]
}

/// Finds that the head of these files, if they have one, is the words' embeddings and nothing else.
///
/// # Errors
/// If it is not, or cannot be read.
pub fn check_tied_head(config: &EncoderConfig, weights: &Weights) -> Result<(), HubError> {
    let [head, ..] = head_names(config.model_type);
    let head = format!("{head}.decoder.weight");
    let prefix = config.model_type.prefix();
    let table = "embeddings.word_embeddings.weight";
    weights.check_tied(&head, &format!("{prefix}.{table}"))?;
    weights.check_tied(&head, table)
}

impl LmHead {
    /// Reads the head below `root`.
    pub fn load(config: &EncoderConfig, root: &Source<'_>) -> Result<Self, HubError> {
        let [head, transform, norm] = head_names(config.model_type);
        let head = root.at(head);
        let (hidden, range) = (config.hidden_size, config.initializer_range);
        Ok(Self {
            transform: head.at(transform).linear(hidden, hidden, range)?,
            head_norm: head.at(norm).layer_norm(hidden, config.layer_norm_eps)?,
            bias: head.parameter("bias", [config.vocab_size], Initializer::Zeros)?,
        })
    }

    /// What is compared with the words' embeddings.
    ///
    /// # Shapes
    /// - input and output: `[n, hidden]`
    pub fn transformed(&self, hidden: Tensor<2>) -> Tensor<2> {
        let x = adamix_kernels::gelu(self.transform.forward(hidden));
        self.head_norm.forward(x)
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
        check_tied_head(config, weights)?;
        Self::build(config, &Source::files(weights, device))
    }

    /// Builds the model from the files of any encoder: names may lack the family's prefix, and a head that
    /// the files lack is drawn from `key` and trainable. All else is frozen.
    pub fn on_encoder(
        config: &EncoderConfig,
        weights: &Weights,
        key: Key,
        device: &burn::tensor::Device,
    ) -> Result<Self, HubError> {
        check_tied_head(config, weights)?;
        let files = Source::files(weights, device);
        let prefix = config.model_type.prefix();
        let starts = |start: &str| weights.names().any(|name| name.starts_with(start));
        let base = if starts(&format!("{prefix}.")) {
            files.at(prefix)
        } else {
            files.clone()
        };
        let [head, ..] = head_names(config.model_type);
        let root = if starts(&format!("{head}.")) {
            files
        } else {
            Source::random(key, device)
        };
        Self::compose(config, &base, &root)
    }

    /// Builds the model with every parameter from `source`.
    pub fn build(config: &EncoderConfig, source: &Source<'_>) -> Result<Self, HubError> {
        Self::compose(config, &source.at(config.model_type.prefix()), source)
    }

    /// From the place of the encoder, and that below which the head is.
    fn compose(
        config: &EncoderConfig,
        base: &Source<'_>,
        root: &Source<'_>,
    ) -> Result<Self, HubError> {
        Ok(Self {
            base: Encoder::load(config, base)?,
            lm_head: LmHead::load(config, root)?,
            family: config.model_type,
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
        let x = self.lm_head.transformed(chosen);
        let words = self.base.embeddings.word_embeddings.weight.val();
        adamix_kernels::linear(x, words.transpose(), Some(self.lm_head.bias.val()))
    }
}
