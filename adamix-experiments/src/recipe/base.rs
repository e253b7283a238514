//! The base model of a run, and what is put on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use adamix_core::account::MARK;
use adamix_core::parameter::{self, HostTensor};
use adamix_data::{Encoding, Example, Task, Tokenizer};
use adamix_keys::Key;
use adamix_models::encoder::{
    Cloze, Encoder, EncoderConfig, Pooling, SequenceClassifier, SequenceClassifierConfig,
    is_lm_head,
};
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::peft::Setting;
use adamix_models::hub::{HubError, Layout, Source, StoredAdapter, Weights, affine_modules};
use adamix_models::site::Adaptable;
use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;

use super::adapted::{Adapted, is_head};
use super::prompted::Prompted;
use super::served::pooling_named;
use super::tokens;
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
    /// Hash of its configuration and tensor files: what an adapter on it is known by.
    pub hash: String,
}

impl Base {
    /// Opens a folder, or the encoder that the program carries.
    pub fn open(folder: &Path) -> Result<Self> {
        if folder == Path::new(embedded::NAME) {
            return Self::open(&embedded::ENCODER.unpack()?);
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

    /// Hash of all its files, the tokenizer's too: what a run on it is known by.
    pub fn fingerprint(&self) -> String {
        format!("{}+{}", self.hash, self.tokenizer.fingerprint())
    }

    /// The longest input, in tokens, that both the model and `wanted` allow.
    pub fn max_length(&self, wanted: usize) -> usize {
        wanted.min(self.config.max_length())
    }

    /// The longest input of a run: what it asks for, as far as the model's positions reach behind the tokens
    /// that its adaptation puts first.
    pub fn longest_input(&self, config: &RunConfig) -> usize {
        let room = self.config.max_length();
        let room = room.saturating_sub(config.adaptation.tokens_before());
        config.input.max_length.min(room)
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

    /// The model of a run: backbone frozen, head and adaptation fresh from the run's keys.
    pub fn adapted(
        &self,
        config: &RunConfig,
        task: &Task,
        device: &Device,
    ) -> Result<Adapted<SequenceClassifier>> {
        let key = Key::new(config.seed).purpose("initialisation");
        let encoder = self.config.clone().with_dropout(config.backbone.dropout);
        let model = match Prompted::of(config, task, self)? {
            Some(prompted) => self.cloze(&encoder, &prompted, device)?,
            None => {
                let classifier = SequenceClassifierConfig {
                    encoder,
                    outputs: task.num_outputs(),
                    pooling: config.backbone.pooling,
                };
                classifier.load(&self.weights, key.purpose("head"), false, device)?
            }
        };
        let model = adapt_classifier(model, config, key.purpose("mixture"), device)?;
        Ok(Adapted::new(stored(
            model,
            config.backbone.precision.halves(),
        )))
    }

    /// The encoder with its own masked-LM head, whose parameters are trainable, as LiST trains them.
    fn cloze(
        &self,
        encoder: &EncoderConfig,
        prompted: &Prompted,
        device: &Device,
    ) -> Result<SequenceClassifier> {
        let backbone = Encoder::from_files(encoder, &self.weights, device)?;
        self.asked(encoder, backbone, prompted.described.cloze.clone(), device)
    }

    /// A loaded encoder, with the masked-LM head of the files, asked for words.
    pub(super) fn asked(
        &self,
        encoder: &EncoderConfig,
        backbone: Encoder,
        cloze: Cloze,
        device: &Device,
    ) -> Result<SequenceClassifier> {
        let tokens = encoder.vocab_size;
        let words = cloze.words.iter().copied();
        if let Some(id) = words.chain([cloze.mask]).find(|id| *id as usize >= tokens) {
            bail!(
                "{}: a prompt asks for token {id}, the model has {tokens} tokens",
                self.folder.display()
            );
        }
        let files = Source::files(&self.weights, device);
        let model = SequenceClassifier::cloze(encoder, backbone, &files, cloze);
        let model = model.with_context(|| {
            format!(
                "{}: a prompt asks the masked-LM head; `adamix pretrain` trains one on an encoder without",
                self.folder.display()
            )
        })?;
        Ok(parameter::set_trainable(model, |info| {
            info.trainable || is_lm_head(&info.name)
        }))
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
        let model = self
            .bare(&config, device)
            .with_context(|| folder.display().to_string())?;
        let model = wearing(model, folder, &config, tensors, device)?;
        Ok((Adapted::new(stored(model, config.halved)), config))
    }

    /// The model that an adapter goes onto: the base, with the head that its description asks for, whose values are
    /// the base's own where a prompt asks the masked-LM head, and else fresh.
    ///
    /// # Errors
    /// If the base lacks the head, or the description names an unknown pooling.
    pub fn bare(&self, described: &AdapterConfig, device: &Device) -> Result<SequenceClassifier> {
        if let Some(prompt) = &described.prompt {
            return self.cloze(&self.config, &Prompted::stored(prompt)?, device);
        }
        let pooling = pooling_named(&described.pooling)
            .with_context(|| format!("pooling `{}`", described.pooling))?;
        let classifier = SequenceClassifierConfig {
            encoder: self.config.clone(),
            outputs: described.outputs,
            pooling,
        };
        Ok(classifier.load(&self.weights, Key::new(0), false, device)?)
    }
}

/// Refuses a run whose texts have no room.
pub(super) fn check_room(longest: usize, config: &RunConfig) -> Result<()> {
    ensure!(
        longest > 2,
        "`input.max_length` is {} and `adaptation.length` {}: {longest} of the model's positions are left for a text",
        config.input.max_length,
        config.adaptation.length
    );
    Ok(())
}

/// A model with the adapter of a folder on it.
///
/// # Errors
/// If the adapter does not fit, or lacks a tensor. What must be there is told by name: where nothing can be
/// trained, no parameter says that it is.
pub(super) fn wearing<M: Adaptable>(
    model: M,
    folder: &Path,
    config: &AdapterConfig,
    tensors: BTreeMap<String, HostTensor>,
    device: &Device,
) -> Result<M> {
    let model = (model.attach(&config.attachments, 0, Key::new(0), device))
        .with_context(|| folder.display().to_string())?;
    // Parameters of the base that were trained are in the file too.
    let model = parameter::set_trainable(model, |info| {
        info.trainable || tensors.contains_key(&info.name)
    });
    let path = folder.join(adapter::TENSORS);
    let missing = parameter::parameters(&model)
        .into_iter()
        .find(|p| (p.name.contains(MARK) || is_head(&p.name)) && !tensors.contains_key(&p.name));
    if let Some(info) = missing {
        let tensor = info.name;
        return Err(HubError::Missing { path, tensor }.into());
    }
    let model =
        parameter::assign(model, tensors).map_err(|source| HubError::Parameter { path, source })?;
    Ok(model)
}

/// A model with an adaptation on it: what is attached is fresh, and what the method trains is trainable.
pub fn adapt<M: Adaptable>(model: M, config: &RunConfig, key: Key, device: &Device) -> Result<M> {
    let adaptation = &config.adaptation;
    let layers = adaptation.layers;
    let model = model.attach(&adaptation.attachments(), layers, key, device)?;
    let model = model.route(config.routing.policy()?.as_ref(), key, device)?;
    Ok(model.train_base(&adaptation.unfrozen(), layers)?)
}

/// The same for a classifier, whose pooler is trained if it is read and the config or the method says so, and whose
/// head is trained, whichever it is.
pub fn adapt_classifier(
    model: SequenceClassifier,
    config: &RunConfig,
    key: Key,
    device: &Device,
) -> Result<SequenceClassifier> {
    let model = adapt(model, config, key, device)?;
    let pools = config.backbone.pooling == Pooling::Pooler && !config.prompt.is_given();
    let train_pooler = config.backbone.train_pooler;
    Ok(parameter::set_trainable(model, |info| {
        match info.name.contains(".pooler.") {
            true => pools && (train_pooler || info.trainable),
            false => info.trainable,
        }
    }))
}

/// The model with its frozen maps in `bf16` if it is to be `halved`. Norms, tables and all that is trained stay in 32
/// bits.
pub fn stored<M: Adaptable>(model: M, halved: bool) -> M {
    match halved {
        true => halve(model, |_| false),
        false => model,
    }
}

/// A model that serves, with an adapter on it, stored as it was when the adapter was trained. Nothing can be trained
/// here, so what was is told by the adapter.
pub(super) fn served<M: Adaptable>(model: M, adapter: &StoredAdapter) -> M {
    let halved = (adapter.config.as_ref()).is_some_and(|config| config.halved);
    let was_trained = |name: &str| {
        is_head(name) || name.contains(MARK) || adapter.parameters().contains_key(name)
    };
    match halved {
        true => halve(model, was_trained),
        false => model,
    }
}

fn halve<M: Adaptable>(model: M, stays: impl Fn(&str) -> bool) -> M {
    let maps: BTreeSet<String> = affine_modules(&model).into_iter().collect();
    parameter::halve_frozen(model, |info| {
        let module = info.name.strip_suffix(".weight");
        module.is_some_and(|module| maps.contains(module)) && !stays(&info.name)
    })
}

impl Adapted<SequenceClassifier> {
    /// What `adamix_config.json` says of this model; `merged` for one whose banks are merged.
    pub fn describe(
        &self,
        config: &RunConfig,
        base: &Base,
        task: &Task,
        merged: bool,
    ) -> Result<AdapterConfig> {
        let prompt = Prompted::of(config, task, base)?;
        Ok(AdapterConfig {
            format: adapter::FORMAT,
            base_hash: base.hash.clone(),
            model_type: base.config.model_type.prefix().to_owned(),
            attachments: self.model.attachments(),
            labels: task.labels.clone(),
            outputs: task.num_outputs(),
            pooling: format!("{:?}", config.backbone.pooling).to_lowercase(),
            task: task.name.clone(),
            merged,
            max_length: base.longest_input(config),
            halved: config.backbone.precision.halves(),
            prompt: prompt.map(|prompted| prompted.described),
        })
    }

    /// Writes this model, whose banks are merged, as the adapter that serves.
    pub fn save_served(&self, folder: &Path, config: &AdapterConfig, base: &Base) -> Result<()> {
        let setting = Setting {
            task_type: "SEQ_CLS",
            base: None,
            layout: Layout::OutIn,
            modules: affine_modules(&self.model),
            heads: base.config.num_attention_heads,
            layers: base.config.num_hidden_layers,
        };
        self.serve(folder, config, &setting)
    }
}
