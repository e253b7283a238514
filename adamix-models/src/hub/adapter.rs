//! Adapters on disk: `adamix.safetensors` and `adamix_config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::adaptation::{Activation, Share};
use adamix_core::parameter::HostTensor;
use serde::{Deserialize, Serialize};

use super::write::{self, Precision};
use super::{HubError, Weights};

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
    /// The mixture in each site, or `None` where only the head (or the whole model) was trained.
    pub mixture: Option<MixtureShape>,
    /// The adapted modules.
    pub sites: Vec<String>,
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
}

/// The dimensions of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureShape {
    /// Width of the bottleneck.
    pub bottleneck: usize,
    /// Experts on a side that is not shared.
    pub experts: usize,
    /// Which sides are shared.
    pub share: Share,
    /// What stands between the projections.
    pub activation: Activation,
}

/// The format's version.
pub const FORMAT: u32 = 1;

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

/// Reads an adapter folder.
pub fn load(folder: &Path) -> Result<(AdapterConfig, BTreeMap<String, HostTensor>), HubError> {
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
    let weights = Weights::from_files(folder, vec![folder.join(TENSORS)])?;
    let mut tensors = BTreeMap::new();
    for name in weights.names() {
        let shape = weights.shape(name).unwrap_or_default().to_vec();
        let values = weights.read(name, &shape)?;
        tensors.insert(name.to_owned(), HostTensor { shape, values });
    }
    Ok((config, tensors))
}
