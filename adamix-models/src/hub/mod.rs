//! Hugging Face folders and adapters, in and out.

pub mod adapter;
mod attached;
pub mod card;
mod config_file;
mod error;
pub mod fault;
mod fold;
pub mod loralib;
pub mod model_folder;
pub mod peft;
mod portable;
mod pytorch_file;
mod safetensors_file;
mod source;
mod stored;
mod weights;
pub mod write;

pub use attached::{UnportableError, attach, portable};
pub(crate) use config_file::{check_products, dimensions};
pub use error::HubError;
pub use fold::{FoldError, Layout, affine_modules, fold, fold_into};
pub use portable::{FactorSide, Factors, LowRankUpdate, PortableAdapter};
pub use source::Source;
pub use stored::StoredAdapter;
pub use weights::Weights;

use std::path::Path;

/// The `model_type` in a folder's `config.json`, such as `roberta` or `gpt2`.
pub fn model_type(folder: &Path) -> Result<String, HubError> {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).map_err(|source| HubError::Io {
        path: path.clone(),
        source,
    })?;
    let config: serde_json::Value = serde_json::from_str(&text).map_err(|e| HubError::Format {
        path: path.clone(),
        message: e.to_string(),
    })?;
    let found = config.get("model_type").and_then(|kind| kind.as_str());
    found.map(str::to_owned).ok_or_else(|| HubError::Config {
        path,
        key: "model_type".to_owned(),
        found: "absent".to_owned(),
        expected: "`bert`, `roberta` or `gpt2`".to_owned(),
    })
}
