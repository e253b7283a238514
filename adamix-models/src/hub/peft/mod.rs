//! Folders of Python's `peft`, in and out: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! LoRA, (IA)³ and prefix-tuning, with the modules that were trained whole (`modules_to_save`). What a
//! config asks for and this program cannot compute is refused by the field's name.

mod config;
mod read;
mod target;
mod write;

pub use config::{CONFIG, Ia3Config, LoraConfig, PeftConfig, PrefixConfig, is_own_kind};
pub use read::PeftFolder;
pub use target::{NamesOrPattern, Targets, shortest_names};
pub use write::{Setting, refusal, save, save_own_kind};

/// The tensors' file.
pub const TENSORS: &str = "adapter_model.safetensors";
/// The tensors' file of older versions.
const PICKLED: &str = "adapter_model.bin";
/// The `peft_type` of adapters that `peft` has no type for.
const OWN_KIND: &str = "ADAMIX";
/// What stands before a module's path where `peft` wraps the module itself.
const WRAPPED: &str = "base_model.model.";
/// What stands before it where only a prompt is learned.
const PROMPTED: &str = "base_model.";
