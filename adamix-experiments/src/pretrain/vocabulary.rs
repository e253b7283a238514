//! The tokens of a pretraining: what a text becomes, and which of them stand for no text.

use std::collections::BTreeSet;
use std::path::Path;

use adamix_data::Tokenizer;
use adamix_keys::Key;
use anyhow::{Context, Result};

use super::batch::Batch;
use super::config::Masking;
use super::masking::Masker;
use super::objective::Objective;

/// How texts are joined to one stream, and what stands around a row of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    /// Before the text of each row.
    pub open: Option<u32>,
    /// After it.
    pub close: Option<u32>,
    /// Between two paragraphs of a file.
    pub between_paragraphs: Vec<u32>,
    /// Between two files.
    pub between_files: Vec<u32>,
}

/// A tokenizer with what a pretraining needs to know of it.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Texts to ids.
    pub tokenizer: Tokenizer,
    /// How texts are joined.
    pub framing: Framing,
    /// The ids that a model is asked for, ascending.
    pub predicted: Vec<u32>,
}

impl Vocabulary {
    /// The vocabulary of a model folder.
    ///
    /// A masked model is never asked for a special token, and its rows look like the texts of later tasks:
    /// `<s>` and `</s>` around them and `</s></s>` between two paragraphs as between the two texts of a pair
    /// (BERT: `[CLS]`, `[SEP]` and one `[SEP]`). A causal model reads files as they are, a blank line between
    /// two paragraphs and the end-of-text token between two files, and is asked for all of it.
    ///
    /// # Errors
    /// If the folder has no tokenizer that serves the objective.
    pub(super) fn open(folder: &Path, objective: Objective) -> Result<Self> {
        let tokenizer = Tokenizer::from_folder(folder)?;
        let (framing, special) = match objective {
            Objective::Masked => {
                let mask = tokenizer.mask_id.with_context(|| {
                    format!("{}: the vocabulary has no mask token", folder.display())
                })?;
                let (open, close) = (tokenizer.cls_id, tokenizer.sep_id);
                let roberta = tokenizer.token_to_id("</s>") == Some(close);
                let between = vec![close; if roberta { 2 } else { 1 }];
                let unknown = ["<unk>", "[UNK]"].map(|token| tokenizer.token_to_id(token));
                let special = [tokenizer.pad_id, open, close, mask].into_iter();
                let framing = Framing {
                    open: Some(open),
                    close: Some(close),
                    between_paragraphs: between.clone(),
                    between_files: between,
                };
                (
                    framing,
                    special.chain(unknown.into_iter().flatten()).collect(),
                )
            }
            Objective::Causal => {
                let missing = |what| format!("{}: the vocabulary has no {what}", folder.display());
                let end = tokenizer
                    .token_to_id("<|endoftext|>")
                    .with_context(|| missing("`<|endoftext|>`"))?;
                // A line's end in GPT-2's table of bytes; two of them are two tokens before a letter.
                let line = tokenizer
                    .token_to_id("Ċ")
                    .with_context(|| missing("token for a line's end"))?;
                let framing = Framing {
                    between_paragraphs: vec![line, line],
                    between_files: vec![end],
                    ..Framing::default()
                };
                (framing, BTreeSet::new())
            }
        };
        let all = 0..tokenizer.vocab_size() as u32;
        Ok(Self {
            predicted: all.filter(|id| !special.contains(id)).collect(),
            tokenizer,
            framing,
        })
    }

    /// Adds a row to a batch: with hidden tokens for a masked objective (drawn from `key`), else to be continued.
    pub(super) fn ask(&self, batch: &mut Batch, row: &[u32], masking: Option<Masking>, key: Key) {
        match (masking, self.tokenizer.mask_id) {
            (Some(masking), Some(mask)) => {
                let ordinary = &self.predicted;
                let masker = Masker {
                    masking,
                    mask,
                    ordinary,
                };
                masker.push(batch, row, key);
            }
            _ => batch.push_continued(row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrain::tests::vocabulary;

    #[test]
    fn a_masked_model_is_not_asked_for_special_tokens() {
        let masked = vocabulary(Objective::Masked);
        assert_eq!(masked.predicted, (5..300).collect::<Vec<u32>>());
        assert_eq!(masked.tokenizer.mask_id, Some(4));
        assert_eq!(masked.framing.between_files, [2, 2]);
    }

    #[test]
    fn a_causal_model_reads_a_file_as_it_is() {
        let causal = vocabulary(Objective::Causal);
        assert_eq!(causal.predicted.len(), 300);
        let whole = ["The baker is.\n\nThe end.".to_owned()];
        let parts = ["The baker is.".to_owned(), "The end.".to_owned()];
        let whole = causal.tokenizer.encode_plain(&whole).unwrap().remove(0);
        let parts = causal.tokenizer.encode_plain(&parts).unwrap();
        assert_eq!(parts.join(&causal.framing.between_paragraphs[..]), whole);
        let end = causal.tokenizer.token_to_id("<|endoftext|>");
        assert_eq!(causal.framing.between_files, [end.unwrap()]);
    }
}
