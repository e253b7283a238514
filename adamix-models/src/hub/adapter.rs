//! This program's adapters on disk: `adamix.safetensors` with all experts, or what serves in the file shape of
//! PEFT; and `adamix_config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::adaptation::{AdaptationConfig, Share};
use adamix_core::parameter::HostTensor;
use serde::{Deserialize, Serialize};

use super::write::{self, Precision};
use super::{HubError, PortableAdapter, Weights, peft};
use crate::encoder::Cloze;
use crate::site::{Adaptable, Attachment};

/// The tensors' file.
pub const TENSORS: &str = "adamix.safetensors";
/// The configuration's file.
pub const CONFIG: &str = "adamix_config.json";

/// What an adapter is and what it fits on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterConfig {
    /// The version of this format.
    pub format: u32,
    /// Hash of the base model's files; loading on another base is refused.
    pub base_hash: String,
    /// `bert` or `roberta`.
    pub model_type: String,
    /// What is attached, and where; empty where only parameters of the base or the head were trained.
    pub attachments: Vec<Attachment>,
    /// Class names in the order of the logits; empty for a regression.
    pub labels: Vec<String>,
    /// Outputs of the head.
    pub outputs: usize,
    /// How a sequence becomes one vector: `pooler`, `cls` or `mean`.
    pub pooling: String,
    /// The task the head was trained for.
    pub task: String,
    /// Whether every bank holds the merged expert only.
    pub merged: bool,
    /// Longest input in tokens that training saw.
    pub max_length: usize,
    /// Whether the base's frozen maps were kept in `bf16` when it was trained, as they then are when it is used.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub halved: bool,
    /// The prompt whose mask is asked in place of a head; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptConfig>,
}

/// A prompt, in text and in the base's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptConfig {
    /// The template, in the syntax of the run's config.
    pub template: String,
    /// The word of each class, in the order of the logits.
    pub words: Vec<String>,
    /// Whether texts are lower-cased.
    pub lower: bool,
    /// What the masked-LM head is asked.
    pub cloze: Cloze,
}

/// The format's version.
pub const FORMAT: u32 = 2;

/// Writes an adapter folder; the configuration goes last, so a folder with one is whole.
pub fn save(
    folder: &Path,
    config: &AdapterConfig,
    tensors: &BTreeMap<String, HostTensor>,
) -> Result<(), HubError> {
    write::safetensors(&folder.join(TENSORS), tensors, Precision::F32)?;
    let json = serde_json::to_string_pretty(config).expect("a configuration serialises") + "\n";
    write::atomic(&folder.join(CONFIG), json.as_bytes())
}

/// Writes the adapter that serves, with one module a site: as a folder that Python's `peft` loads where
/// `portable` can be one, else in the same file shape under this program's names.
pub fn save_served(
    folder: &Path,
    config: &AdapterConfig,
    tensors: &BTreeMap<String, HostTensor>,
    portable: Option<&PortableAdapter>,
    setting: &peft::Setting,
) -> Result<(), HubError> {
    match portable.filter(|adapter| peft::refusal(adapter).is_none()) {
        Some(adapter) => peft::save(folder, adapter, setting)?,
        None => peft::save_own_kind(folder, config, tensors, setting)?,
    }
    let json = serde_json::to_string_pretty(config).expect("a configuration serialises") + "\n";
    write::atomic(&folder.join(CONFIG), json.as_bytes())
}

/// Reads an adapter folder whose tensors have this program's names.
pub fn load(folder: &Path) -> Result<(AdapterConfig, BTreeMap<String, HostTensor>), HubError> {
    let config = read_config(folder)?;
    let own = folder.join(TENSORS);
    let path = if own.is_file() {
        own
    } else {
        folder.join(peft::TENSORS)
    };
    let weights = Weights::from_files(folder, vec![path])?;
    let mut tensors = BTreeMap::new();
    for name in weights.names() {
        tensors.insert(name.to_owned(), weights.tensor(name)?);
    }
    let values = tensors.values().map(|t| t.values.len()).sum();
    config.check(values, &folder.join(CONFIG))?;
    Ok((config, tensors))
}

/// Reads what an adapter folder says of itself.
pub fn read_config(folder: &Path) -> Result<AdapterConfig, HubError> {
    let path = folder.join(CONFIG);
    if !path.is_file() {
        return Err(HubError::Absent {
            path: folder.to_owned(),
            wanted: CONFIG.to_owned(),
        });
    }
    let text = std::fs::read_to_string(&path).map_err(|source| HubError::Io {
        path: path.clone(),
        source,
    })?;
    let config: AdapterConfig = serde_json::from_str(&text).map_err(|e| HubError::Format {
        path: path.clone(),
        message: e.to_string(),
    })?;
    if config.format != FORMAT {
        return Err(HubError::Config {
            path,
            key: "format".to_owned(),
            found: config.format.to_string(),
            expected: FORMAT.to_string(),
        });
    }
    Ok(config)
}

impl AdapterConfig {
    /// Refuses sizes that so many values cannot fill: a model of them would be memory asked for in vain.
    pub(super) fn check(&self, values: usize, path: &Path) -> Result<(), HubError> {
        let of = |one: usize, experts: usize, share| match share {
            // One projection, but not of no experts.
            Share::Both => one.saturating_mul(experts.min(1)),
            _ => one.saturating_mul(experts),
        };
        let attached = self.attachments.iter().map(|a| match &a.adaptation {
            AdaptationConfig::Bottleneck(c) => of(c.bottleneck, c.experts, c.share),
            AdaptationConfig::LowRank(c) => of(c.rank, c.experts, c.share),
            AdaptationConfig::Scale(c) => c.experts,
            AdaptationConfig::Prefix(c) => c.length.saturating_mul(c.experts),
            AdaptationConfig::VirtualTokens(c) => c.length.saturating_mul(c.experts),
        });
        let maps = self.attachments.iter().flat_map(|a| &a.router);
        let learned = maps.map(|map| map.input.saturating_mul(map.output));
        let attached = attached.chain(learned).map(|size| ("attachments", size));
        // A decoder's outputs are its vocabulary, which no adapter holds.
        let outputs = if self.model_type == "gpt2" {
            1
        } else {
            self.outputs
        };
        for (key, size) in attached.chain([("outputs", outputs)]) {
            if size == 0 || size > values {
                return Err(unfilled(key, size, values, path));
            }
        }
        Ok(())
    }

    /// Refuses what so many values cannot fill at the places of `model`, whose widths this configuration does not tell.
    ///
    /// # Errors
    /// If the attachments have more weights there.
    pub fn check_on(
        &self,
        model: &impl Adaptable,
        values: usize,
        path: &Path,
    ) -> Result<(), HubError> {
        let weights = model.weights_of(&self.attachments);
        if weights > values {
            return Err(unfilled("attachments", weights, values, path));
        }
        Ok(())
    }
}

fn unfilled(key: &str, size: usize, values: usize, path: &Path) -> HubError {
    HubError::Config {
        path: path.to_owned(),
        key: key.to_owned(),
        found: format!("of size {size}"),
        expected: format!("what the {values} values beside it can fill"),
    }
}
