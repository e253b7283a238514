//! Hugging Face folders in, adapters in and out.

pub mod adapter;
mod error;
pub mod fault;
mod pytorch_file;
mod safetensors_file;
mod source;
mod weights;
pub mod write;

pub use error::HubError;
pub use source::Source;
pub use weights::Weights;
