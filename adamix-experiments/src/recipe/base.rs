//! A base model: a Hugging Face folder, opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adamix_core::parameter::HostTensor;
use adamix_data::{Encoding, Example, Tokenizer};
use adamix_models::encoder::EncoderConfig;
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::{HubError, StoredAdapter, Weights};
use anyhow::{Result, bail, ensure};

use super::tokens;
use crate::config::RunConfig;
use crate::embedded;

/// A Hugging Face folder, opened; `C` is what its `config.json` says.
#[derive(Debug)]
pub struct BaseModel<C> {
    /// Where it is.
    pub folder: PathBuf,
    /// Its `config.json`.
    pub config: C,
    /// Its tensors.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Hash of its configuration and tensor files: what an adapter on it is known by.
    pub hash: String,
}

/// An encoder.
pub type Base = BaseModel<EncoderConfig>;

/// A kind of base model.
pub trait BaseConfig: Sized {
    /// The model of this kind that the program carries.
    const CARRIED: embedded::Model;

    /// Reads and checks `config.json` of a folder.
    fn from_folder(folder: &Path) -> Result<Self, HubError>;

    /// What stands before its tensors' names in `transformers`.
    fn prefix(&self) -> &str;

    /// The longest input, in tokens, that its positions reach.
    fn positions(&self) -> usize;

    /// Refuses a tokenizer that is plainly another model's.
    fn check_tokenizer(&self, folder: &Path, tokenizer: &Tokenizer) -> Result<()> {
        let _ = (folder, tokenizer);
        Ok(())
    }
}

impl BaseConfig for EncoderConfig {
    const CARRIED: embedded::Model = embedded::ENCODER;

    fn from_folder(folder: &Path) -> Result<Self, HubError> {
        Self::from_folder(folder)
    }

    fn prefix(&self) -> &str {
        self.model_type.prefix()
    }

    fn positions(&self) -> usize {
        self.max_length()
    }
}

impl<C: BaseConfig> BaseModel<C> {
    /// Opens a folder, or the model that the program carries.
    ///
    /// # Errors
    /// If a file is at fault.
    pub fn open(folder: &Path) -> Result<Self> {
        if folder == Path::new(embedded::NAME) {
            return Self::open(&C::CARRIED.unpack()?);
        }
        let config = C::from_folder(folder)?;
        let weights = Weights::open(folder)?;
        let tokenizer = Tokenizer::from_folder(folder)?;
        config.check_tokenizer(folder, &tokenizer)?;
        let mut files = vec![folder.join("config.json")];
        files.extend_from_slice(weights.paths());
        let hash = adamix_data::fingerprint(&files)?;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            weights,
            tokenizer,
            hash,
        })
    }

    /// The base of a run: a folder that is given in its place, else the one that its config names.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_run(config: &RunConfig, given: Option<&Path>) -> Result<Self> {
        match given {
            Some(folder) => Self::open(folder),
            None => Self::open(&config.model_folder()?),
        }
    }

    /// Hash of all its files, the tokenizer's too: what a run on it is known by.
    pub fn fingerprint(&self) -> String {
        format!("{}+{}", self.hash, self.tokenizer.fingerprint())
    }

    /// The longest input of a run: what it asks for, as far as the model's positions reach behind those that its
    /// adaptation takes.
    pub fn longest_input(&self, config: &RunConfig) -> usize {
        let before = config.adaptation.tokens_before();
        let room = self.config.positions().saturating_sub(before);
        config.input.max_length.min(room)
    }

    /// Reads an adapter of whatever origin for this base; `alpha` is for a loralib file, which lacks it.
    ///
    /// # Errors
    /// If it cannot be read, or says that it is another base's.
    pub fn stored(&self, path: &Path, alpha: Option<f64>) -> Result<StoredAdapter> {
        let stored = StoredAdapter::open(path, self.config.prefix(), alpha)?;
        stored.check_base(&self.hash)?;
        Ok(stored)
    }

    /// Reads an adapter of this program that was trained on this base.
    ///
    /// # Errors
    /// If it cannot be read, or was trained on another base.
    pub(super) fn load_adapter(
        &self,
        folder: &Path,
    ) -> Result<(AdapterConfig, BTreeMap<String, HostTensor>)> {
        let (config, tensors) = adapter::load(folder)?;
        if config.base_hash != self.hash {
            let error = HubError::Base {
                path: folder.to_owned(),
                expected: config.base_hash,
                found: self.hash.clone(),
            };
            return Err(error.into());
        }
        Ok((config, tensors))
    }
}

impl Base {
    /// The longest input, in tokens, that both the model and `wanted` allow.
    pub fn max_length(&self, wanted: usize) -> usize {
        wanted.min(self.config.max_length())
    }

    /// Token ids of all examples, in order.
    ///
    /// # Errors
    /// If a text cannot be encoded, or the tokenizer is another model's: it has ids that this model lacks.
    pub fn encode(&self, examples: &[Example], max_length: usize) -> Result<Vec<Encoding>> {
        let encodings = match tokens::cache() {
            Some(cache) => cache.encode_all(&self.tokenizer, examples, max_length)?,
            None => self.tokenizer.encode_all(examples, max_length)?,
        };
        self.check_tokens(examples, &encodings)?;
        Ok(encodings)
    }

    /// Refuses rows without any token, and those of another model's tokenizer.
    pub(super) fn check_tokens(&self, examples: &[Example], encodings: &[Encoding]) -> Result<()> {
        let rows = self.config.vocab_size;
        for (example, encoding) in examples.iter().zip(encodings) {
            ensure!(
                !encoding.ids.is_empty(),
                "{}: row {} has no token, and the tokenizer puts none around an empty text; take the row out",
                self.folder.display(),
                example.id
            );
            if let Some(id) = encoding.ids.iter().find(|id| **id as usize >= rows) {
                bail!(
                    "{}: row {} has token id {id}, the model has {rows} token ids; the tokenizer is another model's",
                    self.folder.display(),
                    example.id
                );
            }
        }
        Ok(())
    }
}
