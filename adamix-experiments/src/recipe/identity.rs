//! Which run a config is, found without running it.

use std::collections::BTreeMap;

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
        return Ok(Identity::new(config, &base.fingerprint(), &data.hash));
    }
    let base = Base::open(&config.model_folder()?)?;
    let data = TaskData::load(config)?;
    Ok(Identity::new(config, &base.fingerprint(), &data.hash))
}

/// Identities of many configs, each of whose base models and data is read once.
#[derive(Debug, Default)]
pub struct Identities {
    hashes: BTreeMap<String, (String, String)>,
}

impl Identities {
    /// The identity of a config.
    ///
    /// # Errors
    /// If a file is at fault.
    pub fn of(&mut self, config: &RunConfig) -> Result<Identity> {
        // What surely does not decide which files are read; all else is taken for deciding.
        let default = RunConfig::default();
        let read = RunConfig {
            seed: default.seed,
            adaptation: default.adaptation,
            routing: default.routing,
            merging: default.merging,
            consistency: default.consistency,
            optimizer: default.optimizer,
            schedule: default.schedule,
            evaluation: default.evaluation,
            ..config.clone()
        };
        let read = toml::to_string(&read).expect("a config serialises");
        if let Some((base, data)) = self.hashes.get(&read) {
            return Ok(Identity::new(config, base, data));
        }
        let identity = identity(config)?;
        let hashes = (identity.base_hash.clone(), identity.data_hash.clone());
        self.hashes.insert(read, hashes);
        Ok(identity)
    }
}
