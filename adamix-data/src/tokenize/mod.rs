//! Texts to token ids, as `transformers` does it with the same folder.

mod cache;
mod folder;

pub use cache::Cache;

use std::path::{Path, PathBuf};

use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};
use tokenizers::{PostProcessor, Tokenizer as Inner};

use crate::error::DataError;
use crate::example::Example;

/// Examples encoded at a time: bounds the memory of intermediate encodings.
const CHUNK: usize = 4096;

/// The token ids of a text or a pair of texts, special tokens included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Segment of each token: 1 for the second text of a BERT pair, else 0.
    pub type_ids: Vec<u32>,
}

impl Encoding {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A tokenizer of a pretrained model. It reads files only, and never the network.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Inner,
    folder: PathBuf,
    /// Of the files it was made from.
    hash: blake3::Hash,
    /// The token batches are filled with.
    pub pad_id: u32,
    /// The token that opens a sequence.
    pub cls_id: u32,
    /// The token that ends each text.
    pub sep_id: u32,
    /// The token a masked language model predicts at.
    pub mask_id: Option<u32>,
    /// The token that begins a generated text: `<|endoftext|>` for GPT-2, which knows no other.
    pub begin_id: u32,
    /// The token that ends a generated text.
    pub end_id: u32,
}

impl Tokenizer {
    /// Reads the tokenizer of a Hugging Face model folder.
    ///
    /// The first of these that is there: `tokenizer.json` (truncation and padding stored in it are ignored);
    /// `vocab.txt` (BERT's WordPiece, lower-casing unless `tokenizer_config.json` says otherwise); `vocab.json`
    /// with `merges.txt` (byte-level BPE, RoBERTa's if it has `<s>`, else GPT-2's).
    /// A vocabulary without padding, opening or separating token uses `<|endoftext|>` in their place, as GPT-2 does.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`] if no tokenizer is there, it is broken, or it lacks the special tokens.
    pub fn from_folder(folder: &Path) -> Result<Self, DataError> {
        folder::open(folder)
    }

    /// Hash of the files that it was made from.
    pub fn fingerprint(&self) -> String {
        self.hash.to_hex().to_string()
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The id of a token as written in the vocabulary.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id as written in the vocabulary.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The one token of a blank line, which ends a text too in the released code: 628 for GPT-2. `None` if the
    /// vocabulary spells it with several.
    pub fn blank_line_id(&self) -> Option<u32> {
        let found = self.inner.encode_fast("\n\n", false).ok()?;
        match found.get_ids() {
            [id] => Some(*id),
            _ => None,
        }
    }

    /// The text of tokens, special ones left out.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`] if the tokens stand for no text.
    pub fn decode(&self, ids: &[u32]) -> Result<String, DataError> {
        let decoded = self.inner.decode(ids, true);
        decoded.map_err(|e| self.refuse(format!("tokens cannot be decoded: {e}")))
    }

    /// The tokens of a piece of text, without special tokens.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`] if the vocabulary cannot express the text.
    pub fn plain(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let encoding = self.inner.encode_fast(text, false);
        let encoding = encoding.map_err(|e| self.unencodable(&e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The mask token.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`] if the vocabulary has none.
    pub fn mask(&self) -> Result<u32, DataError> {
        self.mask_id.ok_or_else(|| DataError::Tokenizer {
            path: self.folder.clone(),
            message: "the vocabulary has no mask token; prompts need a masked language model"
                .into(),
        })
    }

    /// Encodes a text or a pair with special tokens, to at most `max_len` tokens.
    ///
    /// What is too long is cut at the right, the longer text first (`truncation="longest_first"`). Special tokens
    /// are never cut: a `max_len` below their number gives them alone.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`] if the vocabulary cannot express the text.
    pub fn encode(
        &self,
        first: &str,
        second: Option<&str>,
        max_len: usize,
    ) -> Result<Encoding, DataError> {
        let plain = |text: &str| self.inner.encode_fast(text, false);
        let first = plain(first).map_err(|e| self.unencodable(&e))?;
        let second = second
            .map(plain)
            .transpose()
            .map_err(|e| self.unencodable(&e))?;
        self.join(first, second, max_len)
    }

    /// Encodes examples in their order, on all cores.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_all(
        &self,
        examples: &[Example],
        max_len: usize,
    ) -> Result<Vec<Encoding>, DataError> {
        let mut encodings = Vec::with_capacity(examples.len());
        for chunk in examples.chunks(CHUNK) {
            // First and second texts in one call, to be told apart by their order.
            let mut texts: Vec<&str> = chunk.iter().map(|e| e.first.as_str()).collect();
            texts.extend(chunk.iter().filter_map(|e| e.second.as_deref()));
            let mut plain = self
                .inner
                .encode_batch_fast(texts, false)
                .map_err(|e| self.unencodable(&e))?;
            let mut seconds = plain.split_off(chunk.len()).into_iter();
            for (example, first) in chunk.iter().zip(plain) {
                let second = example.second.as_ref().and_then(|_| seconds.next());
                encodings.push(self.join(first, second, max_len)?);
            }
        }
        Ok(encodings)
    }

    /// The token ids of texts without special tokens, on all cores.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_plain(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, DataError> {
        let mut ids = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(CHUNK) {
            let texts: Vec<&str> = chunk.iter().map(String::as_str).collect();
            let plain = self.inner.encode_batch_fast(texts, false);
            let plain = plain.map_err(|e| self.unencodable(&e))?;
            ids.extend(plain.iter().map(|encoding| encoding.get_ids().to_vec()));
        }
        Ok(ids)
    }

    /// Cuts plain encodings to fit and puts the special tokens around them.
    fn join(
        &self,
        first: tokenizers::Encoding,
        second: Option<tokenizers::Encoding>,
        max_len: usize,
    ) -> Result<Encoding, DataError> {
        let processor = self.inner.get_post_processor();
        let added = processor.map_or(0, |p| p.added_tokens(second.is_some()));
        let fit = TruncationParams {
            max_length: max_len.saturating_sub(added),
            ..TruncationParams::default()
        };
        let (mut first, second) =
            truncate_encodings(first, second, &fit).map_err(|e| self.unencodable(&e))?;
        // Not the crate's own `post_process`, which would cut and pad by what the file says.
        let joined = match (processor, second) {
            (Some(processor), second) => processor
                .process(first, second, true)
                .map_err(|e| self.unencodable(&e))?,
            (None, Some(mut second)) => {
                second.set_type_ids(vec![1; second.len()]);
                first.merge_with(second, false);
                first
            }
            (None, None) => first,
        };
        Ok(Encoding {
            ids: joined.get_ids().to_vec(),
            type_ids: joined.get_type_ids().to_vec(),
        })
    }

    fn unencodable(&self, error: &tokenizers::Error) -> DataError {
        self.refuse(format!("a text cannot be encoded: {error}"))
    }

    /// The error of a text that this tokenizer cannot serve.
    pub(crate) fn refuse(&self, message: String) -> DataError {
        DataError::Tokenizer {
            path: self.folder.clone(),
            message,
        }
    }
}
