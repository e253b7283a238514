//! The decoder of a run, and what is put on it.

use std::path::Path;

use adamix_data::Tokenizer;
use adamix_data::nlg::Corpus;
use adamix_keys::Key;
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::peft::Setting;
use adamix_models::hub::{HubError, Layout, StoredAdapter, affine_modules};
use adamix_models::site::Adaptable;
use anyhow::{Result, ensure};
use burn::tensor::Device;

use super::super::adapted::Adapted;
use super::super::attach::{adapt, served, stored, wearing};
use super::super::base::{BaseConfig, BaseModel};
use crate::config::RunConfig;
use crate::embedded;

/// A decoder.
pub type DecoderBase = BaseModel<Gpt2Config>;

impl BaseConfig for Gpt2Config {
    const CARRIED: embedded::Model = embedded::DECODER;

    fn from_folder(folder: &Path) -> Result<Self, HubError> {
        Self::from_folder(folder)
    }

    fn prefix(&self) -> &str {
        "transformer"
    }

    fn positions(&self) -> usize {
        self.n_positions
    }

    fn check_tokenizer(&self, folder: &Path, tokenizer: &Tokenizer) -> Result<()> {
        ensure!(
            tokenizer.vocab_size() <= self.vocab_size,
            "{}: the tokenizer has {} tokens, the model's vocab_size is {}; they are not of one model",
            folder.display(),
            tokenizer.vocab_size(),
            self.vocab_size
        );
        Ok(())
    }
}

impl DecoderBase {
    /// The plain model, frozen.
    pub fn plain(&self, device: &Device) -> Result<Gpt2> {
        Ok(Gpt2::load(&self.config, &self.weights, device)?)
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
        let (config, tensors) = self.load_adapter(folder)?;
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

    /// The model with such an adapter on it.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn with(&self, adapter: &StoredAdapter, device: &Device) -> Result<Gpt2> {
        const TABLE: &str = "transformer.wte.weight";
        let foreign = (adapter.foreign()).is_some_and(|a| a.parameters.contains_key(TABLE));
        ensure!(
            !(foreign && self.config.tie_word_embeddings),
            "{}: `{TABLE}` is replaced, which is the head here too, and not where it was trained",
            adapter.path().display()
        );
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
