//! A PEFT folder as a [`PortableAdapter`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adamix_core::parameter::HostTensor;

use super::{
    CONFIG, LoraConfig, PICKLED, PROMPTED, PeftConfig, PrefixConfig, TENSORS, Targets, WRAPPED,
};
use crate::hub::{FactorSide, Factors, LowRankUpdate, PortableAdapter};
use crate::hub::{HubError, Weights};

/// An adapter that Python wrote.
#[derive(Debug)]
pub struct PeftFolder {
    /// What it does.
    pub adapter: PortableAdapter,
    targets: Option<Targets>,
    path: PathBuf,
    prefix: String,
}

/// The two factors of a module, as far as they have been met.
#[derive(Default)]
struct Halves {
    a: Option<HostTensor>,
    b: Option<HostTensor>,
}

impl PeftFolder {
    /// Whether a folder holds a PEFT adapter.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(CONFIG).is_file()
    }

    /// Reads a folder. `prefix` is the base's, such as `roberta`: an adapter of the bare encoder lacks it.
    ///
    /// # Errors
    /// If a field or tensor is not understood, or the tensors are not those that the config describes.
    pub fn open(folder: &Path, prefix: &str) -> Result<Self, HubError> {
        let config = PeftConfig::open(folder)?;
        let path = [TENSORS, PICKLED].map(|name| folder.join(name));
        let Some(path) = path.into_iter().find(|path| path.is_file()) else {
            return Err(HubError::Absent {
                path: folder.to_owned(),
                wanted: format!("{TENSORS} or {PICKLED}"),
            });
        };
        let weights = Weights::from_files(folder, vec![path.clone()])?;
        let mut folder = Self {
            adapter: PortableAdapter::default(),
            targets: None,
            path,
            prefix: prefix.to_owned(),
        };
        match config {
            PeftConfig::Lora(config) => folder.low_rank(&config, &weights)?,
            PeftConfig::Ia3(config) => folder.factors(config.targets, &weights)?,
            PeftConfig::Prefix(config) => folder.prefix(&config, &weights)?,
        }
        Ok(folder)
    }

    /// The file of its tensors.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finds that no module which the config names, of those that the model has, lacks its tensors, be it adapted or saved
    /// whole.
    pub fn check_whole<'a>(
        &self,
        modules: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), HubError> {
        let Some(targets) = &self.targets else {
            return Ok(());
        };
        let modules: Vec<&str> = modules.into_iter().collect();
        let saved = |module: &&&str| targets.saves(module);
        let tensors = modules
            .iter()
            .filter(saved)
            .map(|module| format!("{module}.weight"));
        let unsaved = |tensor: &String| !self.adapter.parameters.contains_key(tensor);
        if let Some(tensor) = tensors.into_iter().find(unsaved) {
            return Err(HubError::Missing {
                path: self.path.clone(),
                tensor: format!("{WRAPPED}{tensor}"),
            });
        }
        let adapted: Vec<&str> = self.adapter.modules().collect();
        let lacking = |module: &&str| targets.matches(module) && !adapted.contains(module);
        match modules.into_iter().find(lacking) {
            Some(module) => Err(HubError::Missing {
                path: self.path.clone(),
                tensor: match self.adapter.factors.is_empty() {
                    true => format!("{WRAPPED}{module}.lora_A.weight"),
                    false => format!("{WRAPPED}{module}.ia3_l"),
                },
            }),
            None => Ok(()),
        }
    }

    fn low_rank(&mut self, config: &LoraConfig, weights: &Weights) -> Result<(), HubError> {
        let mut modules: BTreeMap<String, Halves> = BTreeMap::new();
        let mut has_bias = false;
        for (name, plain) in names(weights, WRAPPED) {
            let tensor = weights.tensor(name)?;
            if let Some(module) = plain.strip_suffix(".lora_A.weight") {
                modules.entry(module.to_owned()).or_default().a = Some(tensor);
            } else if let Some(module) = plain.strip_suffix(".lora_B.weight") {
                modules.entry(module.to_owned()).or_default().b = Some(tensor);
            } else if plain.contains(".lora_") {
                return Err(self.not_understood(name));
            } else {
                has_bias |= plain.ends_with(".bias") && !plain.starts_with("classifier.");
                self.replace(&plain, tensor);
            }
        }
        for (module, Halves { a, b }) in modules {
            let name = |half: &str| format!("{WRAPPED}{module}.{half}.weight");
            let missing = |half: &str| HubError::Missing {
                path: self.path.clone(),
                tensor: name(half),
            };
            let a = a.ok_or_else(|| missing("lora_A"))?;
            let b = b.ok_or_else(|| missing("lora_B"))?;
            if !config.targets.matches(&module) {
                return Err(self.not_meant(&name("lora_A")));
            }
            let rank = config.rank(&module)?;
            let wrong = |half: &str, found: &HostTensor, expected: Vec<usize>| HubError::Shape {
                path: self.path.clone(),
                tensor: name(half),
                found: found.shape.clone(),
                expected,
            };
            if a.shape.len() != 2 || a.shape[0] != rank || a.shape[1] == 0 {
                let input = a.shape.last().copied().unwrap_or(0).max(1);
                return Err(wrong("lora_A", &a, vec![rank, input]));
            }
            if b.shape.len() != 2 || b.shape[1] != rank || b.shape[0] == 0 {
                let output = b.shape.first().copied().unwrap_or(0).max(1);
                return Err(wrong("lora_B", &b, vec![output, rank]));
            }
            let scale = config.scale(&module)?;
            let update = LowRankUpdate { a, b, scale };
            self.adapter.low_rank.insert(self.rooted(&module), update);
        }
        if config.biases && !has_bias {
            return Err(HubError::Missing {
                path: self.path.clone(),
                tensor: "the trained biases that `bias` in adapter_config.json tells of".to_owned(),
            });
        }
        self.targets = Some(config.targets.clone());
        Ok(())
    }

    fn factors(&mut self, targets: Targets, weights: &Weights) -> Result<(), HubError> {
        for (name, plain) in names(weights, WRAPPED) {
            let tensor = weights.tensor(name)?;
            let Some(module) = plain.strip_suffix(".ia3_l") else {
                self.replace(&plain, tensor);
                continue;
            };
            if !targets.matches(module) {
                return Err(self.not_meant(name));
            }
            // `[out, 1]` for an output, `[1, in]` for a feed-forward input.
            let side = match tensor.shape[..] {
                [1, _] => FactorSide::Input,
                [_, 1] => FactorSide::Output,
                _ => {
                    return Err(HubError::Shape {
                        path: self.path.clone(),
                        tensor: name.to_owned(),
                        expected: vec![tensor.values.len(), 1],
                        found: tensor.shape,
                    });
                }
            };
            let factors = Factors {
                values: tensor.values,
                side,
            };
            self.adapter.factors.insert(self.rooted(module), factors);
        }
        self.targets = Some(targets);
        Ok(())
    }

    fn prefix(&mut self, config: &PrefixConfig, weights: &Weights) -> Result<(), HubError> {
        const NAME: &str = "prompt_embeddings";
        let width = (config.layers.checked_mul(2)).and_then(|n| n.checked_mul(config.width));
        let width = width.filter(|width| *width > 0 && config.tokens > 0);
        let width = width.ok_or_else(|| HubError::Format {
            path: self.path.clone(),
            message: format!(
                "adapter_config.json tells of {} tokens, {} layers and width {}, which is no prefix",
                config.tokens, config.layers, config.width
            ),
        })?;
        let shape = [config.tokens, width];
        self.adapter.prefix = Some(HostTensor {
            shape: shape.to_vec(),
            values: weights.read(NAME, &shape)?,
        });
        for (name, plain) in names(weights, PROMPTED).filter(|(name, _)| *name != NAME) {
            let tensor = weights.tensor(name)?;
            self.replace(&plain, tensor);
        }
        Ok(())
    }

    fn replace(&mut self, plain: &str, tensor: HostTensor) {
        let name = self.rooted(plain);
        self.adapter.parameters.insert(name, tensor);
    }

    /// A path with the base's prefix, where the adapter was made for the bare encoder.
    fn rooted(&self, path: &str) -> String {
        let whole = ["classifier", "lm_head", "cls", &self.prefix];
        let first = path.split('.').next().unwrap_or(path);
        if whole.contains(&first) {
            path.to_owned()
        } else {
            format!("{}.{path}", self.prefix)
        }
    }

    fn not_understood(&self, tensor: &str) -> HubError {
        HubError::Format {
            path: self.path.clone(),
            message: format!("tensor `{tensor}` cannot be represented here"),
        }
    }

    fn not_meant(&self, tensor: &str) -> HubError {
        HubError::Format {
            path: self.path.clone(),
            message: format!(
                "tensor `{tensor}` is of a module that adapter_config.json does not name"
            ),
        }
    }
}

/// The file's names with the path that each stands for: without the wrappers of PEFT. With `bias` it stores a
/// head's biases three times, as trained and before; the plain path is the trained one.
fn names<'a>(weights: &'a Weights, start: &'a str) -> impl Iterator<Item = (&'a str, String)> {
    let repeated =
        |name: &str| name.contains(".original_module.") || name.contains(".modules_to_save.");
    let names = weights.names().filter(move |name| !repeated(name));
    names.map(move |name| {
        let plain = name.strip_prefix(start).unwrap_or(name);
        (name, plain.replace(".base_layer.", "."))
    })
}
