//! The model that training moves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use adamix_core::account::{Account, MARK};
use adamix_core::parameter::{self, HostTensor, Named};
use adamix_models::encoder::is_lm_head;
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::peft::Setting;
use adamix_models::hub::portable;
use adamix_models::site::Adaptable;
use anyhow::Result;

/// A model whose trained parameters are known by name, whatever becomes of its gradients.
#[derive(Clone, Debug)]
pub struct Adapted<M> {
    /// The model.
    pub model: M,
    trained: BTreeSet<String>,
}

impl<M: Named + Clone> Adapted<M> {
    /// A model before its first step: what is trainable now is what training moves.
    pub fn new(model: M) -> Self {
        let trained = parameter::parameters(&model)
            .into_iter()
            .filter(|p| p.trainable)
            .map(|p| p.name);
        Self {
            trained: trained.collect(),
            model,
        }
    }

    /// Whether training moves the parameter of that name.
    pub fn trains(&self, name: &str) -> bool {
        self.trained.contains(name)
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
    pub fn with_model(&self, model: M) -> Self {
        Self {
            model,
            trained: self.trained.clone(),
        }
    }

    /// Writes the trained parameters as an adapter folder.
    pub fn save(&self, folder: &Path, config: &AdapterConfig) -> Result<()> {
        Ok(adapter::save(folder, config, &self.values())?)
    }
}

impl<M: Adaptable> Adapted<M> {
    /// Writes this model, whose banks are merged, as the adapter that serves: for Python's `peft` where it can
    /// be one.
    pub fn serve(&self, folder: &Path, config: &AdapterConfig, setting: &Setting) -> Result<()> {
        let tensors = self.values();
        let of_base = |(name, _): &(&String, &HostTensor)| !name.contains(MARK);
        let parameters = tensors.iter().filter(of_base);
        let parameters = parameters.map(|(name, tensor)| (name.clone(), tensor.clone()));
        let adapter = portable(&self.model, parameters.collect());
        // No class of `peft` reads a head at the mask.
        let adapter = adapter.ok().filter(|_| config.prompt.is_none());
        let config = AdapterConfig {
            attachments: self.model.attachments(),
            ..config.clone()
        };
        let adapter = adapter.as_ref();
        Ok(adapter::save_served(
            folder, &config, &tensors, adapter, setting,
        )?)
    }
}

/// Whether a parameter belongs to the task head, which is the masked-LM head where a prompt asks. The pooler does not:
/// it comes with the backbone.
pub fn is_head(name: &str) -> bool {
    name.starts_with("classifier.") || is_lm_head(name)
}
