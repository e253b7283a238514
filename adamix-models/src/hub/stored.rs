//! An adapter on disk, whoever wrote it: this program, Python's `peft`, or loralib.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adamix_core::account::MARK;
use adamix_core::parameter::{self, HostTensor};
use adamix_keys::Key;
use burn::tensor::Device;

use super::adapter::{self, AdapterConfig};
use super::peft::{self, PeftFolder};
use super::{HubError, Layout, PortableAdapter, affine_modules, attach, loralib};
use crate::site::Adaptable;

/// An adapter that was read, not yet on a model.
#[derive(Debug)]
pub struct StoredAdapter {
    /// What this program wrote of it; foreign adapters have none.
    pub config: Option<AdapterConfig>,
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Tensors under their names in the model.
    Own(BTreeMap<String, HostTensor>),
    Peft(PeftFolder),
    Loralib(PortableAdapter),
}

impl StoredAdapter {
    /// Reads a folder of this program or of `peft`, or a loralib file. `prefix` is the base's, such as
    /// `roberta`; `alpha` is LoRA's numerator, which a loralib file does not hold.
    ///
    /// # Errors
    /// If nothing there is an adapter, or what is there cannot be read.
    pub fn open(path: &Path, prefix: &str, alpha: Option<f64>) -> Result<Self, HubError> {
        let stored = |config, content| Self {
            config,
            path: path.to_owned(),
            content,
        };
        if path.is_file() {
            let alpha = alpha.ok_or_else(|| HubError::Config {
                path: path.to_owned(),
                key: "alpha".to_owned(),
                found: "not given".to_owned(),
                expected: "LoRA's alpha, which a loralib file does not hold".to_owned(),
            })?;
            let adapter = loralib::open(path, prefix, alpha)?;
            return Ok(stored(None, Content::Loralib(adapter)));
        }
        let own = path.join(adapter::CONFIG).is_file();
        if PeftFolder::is_at(path) && !peft::is_own_kind(path)? {
            let config = own.then(|| adapter::read_config(path)).transpose()?;
            let folder = PeftFolder::open(path, prefix)?;
            if let Some(config) = &config {
                config.check(folder.adapter.count(), &path.join(adapter::CONFIG))?;
            }
            return Ok(stored(config, Content::Peft(folder)));
        }
        if !own {
            return Err(HubError::Absent {
                path: path.to_owned(),
                wanted: format!("{} or {}", adapter::CONFIG, peft::CONFIG),
            });
        }
        let (config, tensors) = adapter::load(path)?;
        Ok(stored(Some(config), Content::Own(tensors)))
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of its tensors.
    pub fn tensors(&self) -> PathBuf {
        let own = self.path.join(adapter::TENSORS);
        match &self.content {
            Content::Own(_) if own.is_file() => own,
            Content::Own(_) => self.path.join(peft::TENSORS),
            Content::Peft(folder) => folder.path().to_owned(),
            Content::Loralib(_) => self.path.clone(),
        }
    }

    /// The parameters of base and head that it replaces.
    pub fn parameters(&self) -> &BTreeMap<String, HostTensor> {
        match &self.content {
            Content::Own(tensors) => tensors,
            Content::Peft(folder) => &folder.adapter.parameters,
            Content::Loralib(adapter) => &adapter.parameters,
        }
    }

    /// What it does, where it was written elsewhere; `None` for this program's own.
    pub fn foreign(&self) -> Option<&PortableAdapter> {
        match &self.content {
            Content::Own(_) => None,
            Content::Peft(folder) => Some(&folder.adapter),
            Content::Loralib(adapter) => Some(adapter),
        }
    }

    /// The number of values that it holds, and of these the head's, by `is_head`.
    pub fn counts(&self, is_head: impl Fn(&str) -> bool) -> (usize, usize) {
        let head = self.parameters().iter().filter(|(name, _)| is_head(name));
        let head = head.map(|(_, tensor)| tensor.values.len()).sum();
        let all = match self.foreign() {
            None => self.parameters().values().map(|t| t.values.len()).sum(),
            Some(adapter) => adapter.count(),
        };
        (all, head)
    }

    /// Refuses a base that the adapter was not trained on, where it says which that was.
    pub fn check_base(&self, hash: &str) -> Result<(), HubError> {
        match &self.config {
            Some(config) if config.base_hash != hash => Err(HubError::Base {
                path: self.path.clone(),
                expected: config.base_hash.clone(),
                found: hash.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The model with the adapter on it; what the adapter leaves alone stays shared with `model`.
    ///
    /// # Errors
    /// If it does not fit, or a module that it speaks of lacks its tensors.
    pub fn onto<M: Adaptable>(
        &self,
        model: M,
        layout: Layout,
        device: &Device,
    ) -> Result<M, HubError> {
        let path = || self.path.clone();
        match &self.content {
            Content::Own(tensors) => self.own(model, tensors, device),
            Content::Peft(folder) => {
                let modules = affine_modules(&model);
                folder.check_whole(modules.iter().map(String::as_str))?;
                let source = attach(model, &folder.adapter, layout, device);
                source.map_err(|source| HubError::Fold {
                    path: path(),
                    source,
                })
            }
            Content::Loralib(adapter) => {
                attach(model, adapter, layout, device).map_err(|source| HubError::Fold {
                    path: path(),
                    source,
                })
            }
        }
    }

    fn own<M: Adaptable>(
        &self,
        model: M,
        tensors: &BTreeMap<String, HostTensor>,
        device: &Device,
    ) -> Result<M, HubError> {
        let path = || self.path.clone();
        if let Some(config) = &self.config {
            let values = tensors.values().map(|tensor| tensor.values.len()).sum();
            config.check_on(&model, values, &self.path.join(adapter::CONFIG))?;
        }
        let attachments = self
            .config
            .iter()
            .flat_map(|c| c.attachments.iter().cloned());
        let attachments: Vec<_> = attachments.collect();
        let model = model
            .attach(&attachments, 0, Key::new(0), device)
            .map_err(|source| HubError::Site {
                path: path(),
                source,
            })?;
        let lacking =
            |p: &parameter::ParameterInfo| p.name.contains(MARK) && !tensors.contains_key(&p.name);
        if let Some(info) = parameter::parameters(&model).into_iter().find(lacking) {
            return Err(HubError::Missing {
                path: path(),
                tensor: info.name,
            });
        }
        parameter::assign(model, tensors.clone()).map_err(|source| HubError::Parameter {
            path: path(),
            source,
        })
    }
}
