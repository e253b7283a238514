//! One frozen backbone, and the adapters of many tasks on it.

use adamix_core::parameter;
use adamix_data::Task;
use adamix_keys::Key;
use adamix_models::encoder::{Encoder, Pooling, SequenceClassifier, SequenceClassifierConfig};
use adamix_models::hub::adapter::AdapterConfig;
use adamix_models::hub::{HubError, Layout, Source, StoredAdapter};
use anyhow::{Context, Result, ensure};
use burn::tensor::Device;

use super::attach;
use super::base::Base;
use super::prompted::Prompted;

/// A base that was loaded once. Models made of it share its tensors: each further task costs what its adapter
/// holds.
#[derive(Debug)]
pub struct Backbone<'a> {
    base: &'a Base,
    encoder: Encoder,
    device: Device,
}

/// A model that answers one task.
#[derive(Debug)]
pub struct Served {
    /// The model; an adapter with several experts has them all.
    pub model: SequenceClassifier,
    /// Class names in the order of the logits; empty for a regression.
    pub labels: Vec<String>,
    /// Outputs of the head.
    pub outputs: usize,
    /// How a sequence becomes one vector; `None` where a prompt asks at the mask.
    pub pooling: Option<Pooling>,
    /// The prompt that rows are asked by.
    pub prompt: Option<Prompted>,
}

impl Served {
    /// The name of each class: the model's own, or the task's where these say nothing (`LABEL_0`).
    ///
    /// # Errors
    /// If the task has another number of classes than the model has outputs.
    pub fn class_names<'a>(&'a self, task: Option<&'a Task>) -> Result<&'a [String]> {
        let Some(task) = task else {
            return Ok(&self.labels);
        };
        ensure!(
            task.num_outputs() == self.outputs,
            "task `{}` takes {} output(s) and the model has {}: it answers another task",
            task.name,
            task.num_outputs(),
            self.outputs
        );
        let says_nothing = self.labels.iter().all(|name| name.starts_with("LABEL_"));
        Ok(match says_nothing {
            true => &task.labels,
            false => &self.labels,
        })
    }
}

impl Base {
    /// Loads the backbone.
    pub fn backbone(&self, device: &Device) -> Result<Backbone<'_>> {
        Ok(Backbone {
            base: self,
            encoder: Encoder::from_files(&self.config, &self.weights, device)?,
            device: device.clone(),
        })
    }

    /// Outputs of the head that the base's own files have.
    fn own_outputs(&self) -> Option<usize> {
        let shape = |name| self.weights.shape(name);
        let shape = shape("classifier.out_proj.weight").or(shape("classifier.weight"))?;
        shape.first().copied()
    }

    fn own_labels(&self, outputs: usize) -> Vec<String> {
        let names = &self.config.id2label;
        let name = |i: usize| names.get(&i.to_string()).cloned();
        (0..outputs).filter_map(name).collect()
    }
}

impl Backbone<'_> {
    /// The base with its own head.
    pub fn plain(&self) -> Result<Served> {
        let outputs = self.base.own_outputs().with_context(|| {
            let folder = self.base.folder.display();
            format!("{folder}: this model has no classification head; give --run or --adapter")
        })?;
        self.headed(
            outputs,
            Pooling::Pooler,
            true,
            self.base.own_labels(outputs),
        )
    }

    /// The base with an adapter, and the head that comes with it; the base's own where none does.
    pub fn with(&self, stored: &StoredAdapter) -> Result<Served> {
        let path = stored.path().display();
        let head = |name: &str| stored.parameters().get(name)?.shape.first().copied();
        let trained = head("classifier.out_proj.weight").or(head("classifier.weight"));
        let mut from_base = false;
        let served = match &stored.config {
            Some(AdapterConfig {
                prompt: Some(prompt),
                labels,
                outputs,
                ..
            }) => Served {
                model: self.base.asked(
                    &self.base.config,
                    self.encoder.clone(),
                    prompt.cloze.clone(),
                    &self.device,
                )?,
                labels: labels.clone(),
                outputs: *outputs,
                pooling: None,
                prompt: Some(Prompted::stored(prompt)?),
            },
            Some(config) => {
                let pooling = Pooling::named(&config.pooling)
                    .with_context(|| format!("{path}: pooling `{}`", config.pooling))?;
                let labels = config.labels.clone();
                self.headed(config.outputs, pooling, false, labels)?
            }
            None => {
                let outputs = trained.or(self.base.own_outputs());
                let outputs = outputs.with_context(|| {
                    format!("{path}: neither this adapter nor the base has a classification head")
                })?;
                let labels = self.base.own_labels(outputs);
                from_base = self.base.own_outputs() == Some(outputs);
                self.headed(outputs, Pooling::Pooler, from_base, labels)?
            }
        };
        ensure!(
            trained.is_none_or(|trained| trained == served.outputs),
            "{path}: the head has another number of outputs than adamix_config.json says"
        );
        if !from_base {
            // A head of random values must not answer for one that is not in the file.
            let own = stored.parameters();
            let infos = parameter::parameters(&served.model).into_iter();
            let head = infos.filter(|info| info.name.starts_with("classifier."));
            if let Some(info) = head.into_iter().find(|info| !own.contains_key(&info.name)) {
                let (path, tensor) = (stored.tensors(), info.name);
                return Err(HubError::Missing { path, tensor }.into());
            }
        }
        let model = stored.onto(served.model, Layout::OutIn, &self.device)?;
        Ok(Served {
            model: attach::served(model, stored),
            ..served
        })
    }

    fn headed(
        &self,
        outputs: usize,
        pooling: Pooling,
        own_head: bool,
        labels: Vec<String>,
    ) -> Result<Served> {
        let config = SequenceClassifierConfig {
            encoder: self.base.config.clone(),
            outputs,
            pooling,
        };
        let source = match own_head {
            true => Source::files(&self.base.weights, &self.device),
            false => Source::random(Key::new(0), &self.device),
        };
        Ok(Served {
            model: config.on(self.encoder.clone(), &source)?,
            labels,
            outputs,
            pooling: Some(pooling),
            prompt: None,
        })
    }
}
