//! A classifier that asks the masked language model: the logits of a few words at the mask of a prompt (Schick and
//! Schütze 2021; Gao et al. 2021). No parameter of it is new.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::masked_lm::LmHead;
use super::{EncoderConfig, ModelType};
use crate::hub::{HubError, Source};

/// What is asked: which words may stand at the mask, one a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cloze {
    /// The token whose place is asked for; every input holds it once.
    pub mask: u32,
    /// The token of each class.
    pub words: Vec<u32>,
}

/// The masked-LM head, read at the mask and for the words of a [`Cloze`].
#[derive(Module, Debug)]
pub struct ClozeHead {
    /// `lm_head` in RoBERTa's files, `cls.predictions` in BERT's.
    pub lm_head: LmHead,
    #[module(skip)]
    cloze: Cloze,
}

impl ClozeHead {
    /// Reads the head of a base model's files.
    pub(super) fn load(
        config: &EncoderConfig,
        source: &Source<'_>,
        cloze: Cloze,
    ) -> Result<Self, HubError> {
        Ok(Self {
            lm_head: LmHead::load(config, source)?,
            cloze,
        })
    }

    /// Logits of the classes.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens, hidden]`
    /// - ids: `[batch, tokens]`
    /// - embeddings: `[vocabulary, hidden]`, the decoder, which is tied to them
    /// - output: `[batch, classes]`
    pub(super) fn forward(
        &self,
        hidden: Tensor<3>,
        ids: &Tensor<2, Int>,
        embeddings: Tensor<2>,
    ) -> Tensor<2> {
        let at_mask = ids.clone().equal_elem(self.cloze.mask).float();
        let at_mask: Tensor<2> = (hidden * at_mask.unsqueeze_dim(2))
            .sum_dim(1)
            .squeeze_dim(1);
        let words: Vec<i32> = self.cloze.words.iter().map(|id| *id as i32).collect();
        let words = Tensor::<1, Int>::from_data(words.as_slice(), &embeddings.device());
        let decoder = embeddings.select(0, words.clone());
        let bias = self.lm_head.bias.val().select(0, words);
        let x = self.lm_head.transformed(at_mask);
        adamix_kernels::linear(x, decoder.transpose(), Some(bias))
    }
}

/// Whether a parameter belongs to a masked-LM head; its decoder does not, being the embedding table.
pub fn is_lm_head(name: &str) -> bool {
    [ModelType::Bert, ModelType::Roberta]
        .into_iter()
        .any(|family| {
            let [(_, head), ..] = super::masked_lm::head_renames(family);
            name.strip_prefix(head)
                .is_some_and(|rest| rest.starts_with('.'))
        })
}
