//! The classifier of a run: the base encoder, its head or a prompt, and what is put on it.

use std::path::Path;

use adamix_core::parameter;
use adamix_data::Task;
use adamix_keys::Key;
use adamix_models::encoder::{
    Cloze, Encoder, EncoderConfig, Pooling, SequenceClassifier, SequenceClassifierConfig,
    check_tied_head, is_lm_head,
};
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::peft::Setting;
use adamix_models::hub::{Layout, Source, affine_modules};
use adamix_models::site::Adaptable;
use anyhow::{Context, Result, bail};
use burn::tensor::Device;

use super::adapted::Adapted;
use super::attach::{adapt, stored, wearing};
use super::base::Base;
use super::prompted::Prompted;
use crate::config::RunConfig;

impl Base {
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
        check_tied_head(encoder, &self.weights)?;
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
        let (config, tensors) = self.load_adapter(folder)?;
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
        let pooling = Pooling::named(&described.pooling)
            .with_context(|| format!("pooling `{}`", described.pooling))?;
        let classifier = SequenceClassifierConfig {
            encoder: self.config.clone(),
            outputs: described.outputs,
            pooling,
        };
        Ok(classifier.load(&self.weights, Key::new(0), false, device)?)
    }
}

/// [`adapt`] for a classifier, whose pooler is trained if it is read and the config or the method says so, and whose
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
            pooling: config.backbone.pooling.name().to_owned(),
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
