//! Sequence classification and regression on an encoder, with or without mixtures in its layers.

use adamix_core::linear::Linear;
use adamix_core::parameter::Named;
use adamix_keys::Key;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::cloze::{Cloze, ClozeHead};
use super::masked_lm::head_renames;
use super::{Encoder, EncoderConfig, EncoderInput, ModelType, first_token};
use crate::hub::{HubError, Source, Weights};
use crate::pass::Pass;
use crate::site::{Adaptable, Slot};

/// How a sequence becomes one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The family's own way: BERT's tanh pooler on the first token; RoBERTa's first token, whose tanh layer
    /// is in its head.
    Pooler,
    /// The first token's hidden state.
    Cls,
    /// The mean of the hidden states of all tokens that are no padding.
    Mean,
}

impl Pooling {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pooler, Self::Cls, Self::Mean];

    /// Its name in configs and in an adapter's description.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pooler => "pooler",
            Self::Cls => "cls",
            Self::Mean => "mean",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pooling| pooling.name() == name)
    }
}

/// What stands on the encoder.
#[derive(Clone, Debug)]
pub struct SequenceClassifierConfig {
    /// The backbone.
    pub encoder: EncoderConfig,
    /// Classes, or 1 for a regression.
    pub outputs: usize,
    /// How a sequence becomes one vector.
    pub pooling: Pooling,
}

/// RoBERTa's head: `out_proj(dropout(tanh(dense(dropout(h)))))`.
#[derive(Module, Debug)]
pub struct RobertaHead {
    /// `[hidden, hidden]`.
    pub dense: Linear,
    /// `[hidden, outputs]`.
    pub out_proj: Linear,
}

/// An encoder with a classification head.
#[derive(Module, Debug)]
pub struct SequenceClassifier {
    /// `bert` or `roberta` in files.
    pub base: Encoder,
    /// BERT's head: `classifier` in files.
    pub bert_head: Option<Linear>,
    /// RoBERTa's head: `classifier` in files.
    pub roberta_head: Option<RobertaHead>,
    /// The masked-LM head in place of either, where a prompt asks.
    pub cloze_head: Option<ClozeHead>,
    dropout: f64,
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    family: ModelType,
}

impl Named for SequenceClassifier {
    fn renames(&self) -> Vec<(&'static str, &'static str)> {
        let own = [
            ("base", self.family.prefix()),
            ("self_attention", "self"),
            ("map", ""),
            ("bert_head", "classifier"),
            ("roberta_head", "classifier"),
            ("cloze_head", ""),
        ];
        own.into_iter().chain(head_renames(self.family)).collect()
    }
}

impl SequenceClassifierConfig {
    /// Builds the model from a folder's files. A head that the files lack (or that has another number of
    /// outputs, where `reuse_head` is false) is drawn from `key` and trainable; all else is frozen.
    pub fn load(
        &self,
        weights: &Weights,
        key: Key,
        reuse_head: bool,
        device: &burn::tensor::Device,
    ) -> Result<SequenceClassifier, HubError> {
        let base = Encoder::from_files(&self.encoder, weights, device)?;
        let has_head = reuse_head && weights.names().any(|name| name.starts_with("classifier."));
        let head = if has_head {
            Source::files(weights, device)
        } else {
            Source::random(key, device)
        };
        self.on(base, &head)
    }

    /// Builds the model with every parameter from `source`.
    pub fn build_all(&self, source: &Source<'_>) -> Result<SequenceClassifier, HubError> {
        let base = source.at(self.encoder.model_type.prefix());
        self.on(Encoder::load(&self.encoder, &base)?, source)
    }

    /// Puts a head from `source` on an encoder, which may be shared with other models.
    pub fn on(&self, base: Encoder, source: &Source<'_>) -> Result<SequenceClassifier, HubError> {
        let (encoder, head) = (&self.encoder, source.at("classifier"));
        let (hidden, range) = (encoder.hidden_size, encoder.initializer_range);
        let roberta = encoder.model_type == ModelType::Roberta;
        if self.pooling == Pooling::Pooler && !roberta && base.pooler.is_none() {
            return Err(HubError::NoPooler);
        }
        Ok(SequenceClassifier {
            base,
            bert_head: if roberta {
                None
            } else {
                Some(head.linear(hidden, self.outputs, range)?)
            },
            roberta_head: if roberta {
                Some(RobertaHead {
                    dense: head.at("dense").linear(hidden, hidden, range)?,
                    out_proj: head.at("out_proj").linear(hidden, self.outputs, range)?,
                })
            } else {
                None
            },
            cloze_head: None,
            dropout: encoder
                .classifier_dropout
                .unwrap_or(encoder.hidden_dropout_prob),
            pooling: self.pooling,
            family: encoder.model_type,
        })
    }
}

impl Adaptable for SequenceClassifier {
    fn slots(&mut self) -> Vec<Slot<'_>> {
        self.base.slots()
    }

    fn shift_positions(&mut self, by: usize) {
        self.base.shift_positions(by);
    }
}

impl SequenceClassifier {
    /// How many tokens a text may have, behind the positions that an adaptation takes for itself.
    pub fn longest_text(&self, config: &EncoderConfig) -> usize {
        (config.max_length()).saturating_sub(self.base.position_shift())
    }

    /// An encoder with its masked-LM head from `source`, asked for words at the mask.
    ///
    /// # Errors
    /// If the files have no masked-LM head.
    pub fn cloze(
        config: &EncoderConfig,
        base: Encoder,
        source: &Source<'_>,
        cloze: Cloze,
    ) -> Result<Self, HubError> {
        Ok(Self {
            base,
            bert_head: None,
            roberta_head: None,
            cloze_head: Some(ClozeHead::load(config, source, cloze)?),
            dropout: 0.0,
            pooling: Pooling::Cls,
            family: config.model_type,
        })
    }

    /// Logits of a batch.
    ///
    /// # Shapes
    /// - input: `[batch, tokens]` ids
    /// - output: `[batch, outputs]`
    pub fn forward(&self, input: &EncoderInput, pass: &Pass<'_>) -> Tensor<2> {
        let hidden = self.base.forward(input, pass);
        if let Some(head) = &self.cloze_head {
            let words = self.base.embeddings.word_embeddings.weight.val();
            return head.forward(hidden, &input.ids, words);
        }
        let pooled = self.pool(&hidden, &input.mask);
        if let Some(head) = &self.roberta_head {
            let x = self.drop(pooled, pass, "classifier.dense");
            let x = head.dense.forward(x).tanh();
            return head
                .out_proj
                .forward(self.drop(x, pass, "classifier.out_proj"));
        }
        let head = self
            .bert_head
            .as_ref()
            .expect("a model has one of the two heads");
        head.forward(self.drop(pooled, pass, "classifier"))
    }

    fn pool(&self, hidden: &Tensor<3>, mask: &Tensor<2>) -> Tensor<2> {
        match self.pooling {
            Pooling::Pooler => self
                .base
                .pool(hidden)
                .unwrap_or_else(|| first_token(hidden)),
            Pooling::Cls => first_token(hidden),
            Pooling::Mean => {
                let weights = mask.clone() / mask.clone().sum_dim(1);
                (hidden.clone() * weights.unsqueeze_dim(2))
                    .sum_dim(1)
                    .squeeze_dim(1)
            }
        }
    }

    fn drop(&self, x: Tensor<2>, pass: &Pass<'_>, place: &str) -> Tensor<2> {
        match pass.dropout_at(place, self.dropout) {
            Some(dropout) => {
                let x: Tensor<3> = x.unsqueeze_dim(1);
                adamix_kernels::dropout(x, &dropout).squeeze_dim(1)
            }
            None => x,
        }
    }
}
