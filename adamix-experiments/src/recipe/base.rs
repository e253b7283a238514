//! The base model of a run, and what is put on it.

use std::path::{Path, PathBuf};

use adamix_core::adaptation::BottleneckConfig;
use adamix_core::parameter;
use adamix_data::{Task, Tokenizer};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::hub::adapter::{self, AdapterConfig, MixtureShape};
use adamix_models::hub::{HubError, Weights};
use anyhow::{Context, Result};
use burn::tensor::Device;

use super::adapted::Adapted;
use crate::config::{Adaptation, Method, RunConfig};
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
    pub fn adapted(
        &self,
        config: &RunConfig,
        outputs: usize,
        device: &Device,
    ) -> Result<Adapted<SequenceClassifier>> {
        let key = Key::new(config.seed).purpose("initialisation");
        let encoder = self.config.clone().with_dropout(config.backbone.dropout);
        let classifier = SequenceClassifierConfig {
            encoder,
            outputs,
            pooling: config.backbone.pooling,
        };
        let mut model = classifier.load(&self.weights, key.purpose("head"), false, device)?;
        if let Some(mixture) = mixture_config(&config.adaptation, self.config.hidden_size) {
            model = model.attach(&mixture, key.purpose("mixture"), device);
        }
        let full = config.adaptation.method == Method::Full;
        let pooler = config.backbone.train_pooler && config.backbone.pooling == Pooling::Pooler;
        let model = parameter::set_trainable(model, |info| match info.name.contains(".pooler.") {
            true => pooler || (full && config.backbone.pooling == Pooling::Pooler),
            false => full || info.trainable,
        });
        Ok(Adapted::new(model))
    }

    /// The model with an adapter from disk on it.
    ///
    /// # Errors
    /// If the adapter was trained on another base, or does not fit.
    pub fn with_adapter(
        &self,
        folder: &Path,
        device: &Device,
    ) -> Result<(Adapted<SequenceClassifier>, AdapterConfig)> {
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
        if let Some(shape) = config.mixture {
            let mixture = BottleneckConfig::new(self.config.hidden_size, shape.bottleneck)
                .with_experts(shape.experts)
                .with_share(shape.share)
                .with_activation(shape.activation);
            model = model.attach(&mixture, Key::new(0), device);
        }
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

/// The mixture of a method, or `None` where it has none. A single adapter is a mixture of one.
pub fn mixture_config(adaptation: &Adaptation, hidden_size: usize) -> Option<BottleneckConfig> {
    let experts = match adaptation.method {
        Method::Adamix => adaptation.experts,
        Method::Adapter => 1,
        Method::Head | Method::Full => return None,
    };
    Some(
        BottleneckConfig::new(hidden_size, adaptation.bottleneck)
            .with_experts(experts)
            .with_share(adaptation.share)
            .with_activation(adaptation.activation)
            .with_initializer_range(adaptation.initializer_range),
    )
}

impl Adapted<SequenceClassifier> {
    /// What `adamix_config.json` says of this model; `merged` for one whose banks are merged.
    pub fn describe(
        &self,
        config: &RunConfig,
        base: &Base,
        task: &Task,
        merged: bool,
    ) -> AdapterConfig {
        let mixture =
            mixture_config(&config.adaptation, base.config.hidden_size).map(|m| MixtureShape {
                bottleneck: m.bottleneck,
                experts: if merged { 1 } else { m.experts },
                share: m.share,
                activation: m.activation,
            });
        AdapterConfig {
            format: adapter::FORMAT,
            base_hash: base.hash.clone(),
            model_type: base.config.model_type.prefix().to_owned(),
            mixture,
            sites: self
                .model
                .sites()
                .into_iter()
                .map(|site| site.name)
                .collect(),
            labels: task.labels.clone(),
            outputs: task.num_outputs(),
            pooling: format!("{:?}", config.backbone.pooling).to_lowercase(),
            task: task.name.clone(),
            merged,
            max_length: config.input.max_length,
        }
    }
}
