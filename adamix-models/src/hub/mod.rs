//! Hugging Face folders and adapters, in and out.

pub mod adapter;
pub mod card;
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
mod weights;
pub mod write;

pub use error::HubError;
pub use fold::{FoldError, Layout, affine_modules, fold, fold_into};
pub use portable::{FactorSide, Factors, LowRankUpdate, PortableAdapter};
pub use source::Source;
pub use weights::Weights;
