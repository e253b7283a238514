//! Which run a config is, found without running it.

use anyhow::Result;

use super::generation::{DecoderBase, GenerationData};
use super::{Base, TaskData};
use crate::config::RunConfig;
use crate::run::Identity;

/// Reads the base model and the data of a config, for their hashes.
///
/// # Errors
/// If a file is at fault.
pub fn identity(config: &RunConfig) -> Result<Identity> {
    if let Some(corpus) = config.corpus() {
        let base = DecoderBase::open(&config.model_folder()?)?;
        let data = GenerationData::load(config, corpus)?;
        return Ok(Identity::new(config, &base.hash, &data.hash));
    }
    let base = Base::open(&config.model_folder()?)?;
    let data = TaskData::load(config)?;
    Ok(Identity::new(config, &base.hash, &data.hash))
}
