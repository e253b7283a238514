//! The base model of a run, and the model that training moves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use adamix_core::account::Account;
use adamix_core::parameter::{self, HostTensor};
use adamix_data::{Task, Tokenizer};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::{HubError, Weights};
use adamix_models::site::Adaptable;
use anyhow::{Context, Result};
use burn::tensor::Device;

use crate::config::RunConfig;
use crate::embedded;

/// A Hugging Face folder, opened.
#[derive(Debug)]
pub struct Base {
    /// Where it is.
    pub folder: PathBuf,
    /// Its `config.json`.
    pub config: EncoderConfig,
    /// Its tensors.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Hash of its configuration and tensor files.
    pub hash: String,
}

impl Base {
    /// Opens a folder, or the encoder that the program carries.
    pub fn open(folder: &Path) -> Result<Self> {
        if folder == Path::new(embedded::NAME) {
            return Self::open(&embedded::unpack()?);
        }
        let config = EncoderConfig::from_folder(folder)?;
        let weights = Weights::open(folder)?;
        let tokenizer = Tokenizer::from_folder(folder)?;
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

    /// The longest input, in tokens, that both the model and `wanted` allow.
    pub fn max_length(&self, wanted: usize) -> usize {
        wanted.min(self.config.max_length())
    }

    /// The model of a run: backbone frozen, head and adaptation fresh from the run's keys.
    pub fn adapted(&self, config: &RunConfig, outputs: usize, device: &Device) -> Result<Adapted> {
        let key = Key::new(config.seed).purpose("initialisation");
        let encoder = self.config.clone().with_dropout(config.backbone.dropout);
        let classifier = SequenceClassifierConfig {
            encoder,
            outputs,
            pooling: config.backbone.pooling,
        };
        let model = classifier.load(&self.weights, key.purpose("head"), false, device)?;
        Ok(Adapted::new(adapt(
            model,
            config,
            key.purpose("mixture"),
            device,
        )?))
    }

    /// The model with an adapter from disk on it.
    ///
    /// # Errors
    /// If the adapter was trained on another base, or does not fit.
    pub fn with_adapter(&self, folder: &Path, device: &Device) -> Result<(Adapted, AdapterConfig)> {
        let (config, tensors) = adapter::load(folder)?;
        if config.base_hash != self.hash {
            let error = HubError::Base {
                path: folder.to_owned(),
                expected: config.base_hash,
                found: self.hash.clone(),
            };
            return Err(error.into());
        }
        let pooling = pooling_named(&config.pooling)
            .with_context(|| format!("{}: pooling `{}`", folder.display(), config.pooling))?;
        let classifier = SequenceClassifierConfig {
            encoder: self.config.clone(),
            outputs: config.outputs,
            pooling,
        };
        let mut model = classifier.load(&self.weights, Key::new(0), false, device)?;
        model = (model.attach(&config.attachments, 0, Key::new(0), device))
            .with_context(|| folder.display().to_string())?;
        let path = folder.join(adapter::TENSORS);
        let missing = parameter::parameters(&model)
            .into_iter()
            .find(|p| p.trainable && !tensors.contains_key(&p.name));
        if let Some(info) = missing {
            return Err(HubError::Missing {
                path,
                tensor: info.name,
            }
            .into());
        }
        let model = parameter::assign(model, tensors)
            .map_err(|source| HubError::Parameter { path, source })?;
        Ok((Adapted::new(model), config))
    }
}

fn pooling_named(name: &str) -> Option<Pooling> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

/// A model with a run's adaptation on it: what is attached is fresh, and what the method trains is trainable.
pub fn adapt(
    model: SequenceClassifier,
    config: &RunConfig,
    key: Key,
    device: &Device,
) -> Result<SequenceClassifier> {
    let adaptation = &config.adaptation;
    let layers = adaptation.layers;
    let model = model.attach(&adaptation.attachments(), layers, key, device)?;
    let policy = config.routing.policy()?;
    let model = model.route(policy.as_ref(), key, device)?;
    let model = model.unfreeze(&adaptation.unfrozen(), layers)?;
    let pools = config.backbone.pooling == Pooling::Pooler;
    let train_pooler = config.backbone.train_pooler;
    Ok(parameter::set_trainable(model, |info| {
        match info.name.contains(".pooler.") {
            true => pools && (train_pooler || info.trainable),
            false => info.trainable,
        }
    }))
}

/// A model whose trained parameters are known by name, whatever becomes of its gradients.
#[derive(Clone, Debug)]
pub struct Adapted {
    /// The model.
    pub model: SequenceClassifier,
    trained: BTreeSet<String>,
}

impl Adapted {
    fn new(model: SequenceClassifier) -> Self {
        let trained = parameter::parameters(&model)
            .into_iter()
            .filter(|p| p.trainable)
            .map(|p| p.name);
        Self {
            trained: trained.collect(),
            model,
        }
    }

    /// What is trained, stored and served.
    pub fn account(&self) -> Account {
        Account::new(&parameter::parameters(&self.model), is_head)
    }

    /// The values of all that training moves.
    pub fn values(&self) -> BTreeMap<String, HostTensor> {
        parameter::export(&self.model, |info| self.trained.contains(&info.name))
    }

    /// The same model with these values.
    pub fn with_values(&self, values: BTreeMap<String, HostTensor>) -> Result<Self> {
        Ok(self.with_model(parameter::assign(self.model.clone(), values)?))
    }

    /// Another state of the model: later in training, or merged.
    pub fn with_model(&self, model: SequenceClassifier) -> Self {
        Self {
            model,
            trained: self.trained.clone(),
        }
    }

    /// What `adamix_config.json` says of this model; `merged` for one whose banks are merged.
    pub fn describe(
        &self,
        config: &RunConfig,
        base: &Base,
        task: &Task,
        merged: bool,
    ) -> AdapterConfig {
        AdapterConfig {
            format: adapter::FORMAT,
            base_hash: base.hash.clone(),
            model_type: base.config.model_type.prefix().to_owned(),
            attachments: self.model.attachments(),
            labels: task.labels.clone(),
            outputs: task.num_outputs(),
            pooling: format!("{:?}", config.backbone.pooling).to_lowercase(),
            task: task.name.clone(),
            merged,
            max_length: config.input.max_length,
        }
    }

    /// Writes the trained parameters as an adapter folder.
    pub fn save(&self, folder: &Path, config: &AdapterConfig) -> Result<()> {
        Ok(adapter::save(folder, config, &self.values())?)
    }
}

/// Whether a parameter belongs to the task head. The pooler does not: it comes with the backbone.
pub fn is_head(name: &str) -> bool {
    name.starts_with("classifier.")
}
