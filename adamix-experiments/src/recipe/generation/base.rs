//! The decoder of a run, and what is put on it.

use std::path::{Path, PathBuf};

use adamix_data::Tokenizer;
use adamix_data::nlg::Corpus;
use adamix_keys::Key;
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::peft::Setting;
use adamix_models::hub::{HubError, Layout, StoredAdapter, Weights, affine_modules};
use adamix_models::site::Adaptable;
use anyhow::{Result, ensure};
use burn::tensor::Device;

use super::super::adapted::Adapted;
use super::super::base::{adapt, served, stored, wearing};
use crate::config::RunConfig;
use crate::embedded;

/// A decoder's Hugging Face folder, opened.
#[derive(Debug)]
pub struct DecoderBase {
    /// Where it is.
    pub folder: PathBuf,
    /// Its `config.json`.
    pub config: Gpt2Config,
    /// Its tensors.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Hash of its configuration and tensor files: what an adapter on it is known by.
    pub hash: String,
}

impl DecoderBase {
    /// Opens a folder, or the decoder that the program carries.
    pub fn open(folder: &Path) -> Result<Self> {
        if folder == Path::new(embedded::NAME) {
            return Self::open(&embedded::DECODER.unpack()?);
        }
        let config = Gpt2Config::from_folder(folder)?;
        let weights = Weights::open(folder)?;
        let tokenizer = Tokenizer::from_folder(folder)?;
        ensure!(
            tokenizer.vocab_size() <= config.vocab_size,
            "{}: the tokenizer has {} tokens, the model's vocab_size is {}; they are not of one model",
            folder.display(),
            tokenizer.vocab_size(),
            config.vocab_size
        );
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

    /// Hash of all its files, the tokenizer's too: what a run on it is known by.
    pub fn fingerprint(&self) -> String {
        format!("{}+{}", self.hash, self.tokenizer.fingerprint())
    }

    /// The plain model, frozen.
    pub fn plain(&self, device: &Device) -> Result<Gpt2> {
        Ok(Gpt2::load(&self.config, &self.weights, device)?)
    }

    /// The longest sequence of a run: what it asks for, as far as the model's positions reach behind those that its
    /// adaptation takes.
    pub fn longest_input(&self, config: &RunConfig) -> usize {
        let before = config.adaptation.tokens_before();
        let room = self.config.n_positions.saturating_sub(before);
        config.input.max_length.min(room)
    }

    /// The tensors of the files that `model` has no use for.
    pub fn unused(&self, model: &Gpt2) -> Vec<String> {
        let mut unused = self.weights.unused();
        unused.retain(|name| !model.is_surplus(name));
        unused
    }

    /// The model of a run: decoder frozen, adaptation fresh from the run's keys.
    pub fn adapted(&self, config: &RunConfig, device: &Device) -> Result<Adapted<Gpt2>> {
        let key = Key::new(config.seed).purpose("initialisation");
        let decoder = self.config.clone().with_dropout(config.backbone.dropout);
        let model = Gpt2::load(&decoder, &self.weights, device)?;
        let model = adapt(model, config, key.purpose("mixture"), device)?;
        Ok(Adapted::new(stored(
            model,
            config.backbone.precision.halves(),
        )))
    }

    /// The model with an adapter from disk on it.
    ///
    /// # Errors
    /// If the adapter was trained on another base, or does not fit.
    pub fn with_adapter(
        &self,
        folder: &Path,
        device: &Device,
    ) -> Result<(Adapted<Gpt2>, AdapterConfig)> {
        let (config, tensors) = adapter::load(folder)?;
        if config.base_hash != self.hash {
            let error = HubError::Base {
                path: folder.to_owned(),
                expected: config.base_hash,
                found: self.hash.clone(),
            };
            return Err(error.into());
        }
        let model = self.plain(device)?;
        let model = wearing(model, folder, &config, tensors, device)?;
        Ok((Adapted::new(stored(model, config.halved)), config))
    }

    /// The model with an adapter of this program or of Python's `peft` on it, to generate with.
    ///
    /// # Errors
    /// As [`with_adapter`](Self::with_adapter).
    pub fn served(&self, folder: &Path, device: &Device) -> Result<Gpt2> {
        self.with(&self.stored(folder, None)?, device)
    }

    /// Reads an adapter of whatever origin for this base; `alpha` is for a loralib file, which lacks it.
    ///
    /// # Errors
    /// If it cannot be read, or says that it is another base's.
    pub fn stored(&self, path: &Path, alpha: Option<f64>) -> Result<StoredAdapter> {
        let stored = StoredAdapter::open(path, "transformer", alpha)?;
        stored.check_base(&self.hash)?;
        Ok(stored)
    }

    /// The model with such an adapter on it.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn with(&self, adapter: &StoredAdapter, device: &Device) -> Result<Gpt2> {
        let model = adapter.onto(self.plain(device)?, Layout::InOut, device)?;
        Ok(served(model, adapter))
    }
}

impl Adapted<Gpt2> {
    /// Writes this model, whose banks are merged, as the adapter that serves.
    pub fn save_served(
        &self,
        folder: &Path,
        config: &AdapterConfig,
        base: &DecoderBase,
    ) -> Result<()> {
        let setting = Setting {
            task_type: "CAUSAL_LM",
            base: None,
            layout: Layout::InOut,
            modules: affine_modules(&self.model),
            heads: base.config.n_head,
            layers: base.config.n_layer,
        };
        self.serve(folder, config, &setting)
    }

    /// What `adamix_config.json` says of this model; `merged` for one whose banks are merged.
    pub fn describe(
        &self,
        config: &RunConfig,
        base: &DecoderBase,
        corpus: Corpus,
        merged: bool,
    ) -> AdapterConfig {
        AdapterConfig {
            format: adapter::FORMAT,
            base_hash: base.hash.clone(),
            model_type: base.config.model_type.clone(),
            attachments: self.model.attachments(),
            labels: Vec::new(),
            outputs: base.config.vocab_size,
            pooling: String::new(),
            task: corpus.name().to_owned(),
            merged,
            max_length: base.longest_input(config),
            halved: config.backbone.precision.halves(),
            prompt: None,
        }
    }
}
