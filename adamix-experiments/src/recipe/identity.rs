//! Which run a config is, found without running it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::Result;

use super::generation::{DecoderBase, GenerationData, METRICS};
use super::{Base, TaskData};
use crate::config::RunConfig;
use crate::run::Identity;

/// Reads the base model and the data of a config, for their hashes.
///
/// # Errors
/// If a file is at fault.
pub fn identity(config: &RunConfig) -> Result<Identity> {
    Ok(Sources::read(config)?.identity(config))
}

/// What a run reads, as far as it is known before the run.
#[derive(Debug)]
struct Sources {
    base: String,
    data: String,
    metrics: Vec<&'static str>,
}

impl Sources {
    fn read(config: &RunConfig) -> Result<Self> {
        if let Some(corpus) = config.corpus() {
            let base = DecoderBase::open(&config.model_folder()?)?;
            return Ok(Self {
                base: base.fingerprint(),
                data: GenerationData::load(config, corpus)?.hash,
                metrics: METRICS.to_vec(),
            });
        }
        let base = Base::open(&config.model_folder()?)?;
        let data = TaskData::load(config)?;
        Ok(Self {
            base: base.fingerprint(),
            data: data.hash,
            metrics: data.task.metrics.iter().map(|m| m.name()).collect(),
        })
    }

    fn identity(&self, config: &RunConfig) -> Identity {
        Identity::new(config, &self.base, &self.data)
    }
}

/// Identities of many configs, each of whose base models and data is read once.
#[derive(Debug, Default)]
pub struct Identities {
    sources: BTreeMap<String, Sources>,
}

impl Identities {
    /// The identity of a config.
    ///
    /// # Errors
    /// If a file is at fault.
    pub fn of(&mut self, config: &RunConfig) -> Result<Identity> {
        Ok(self.sources(config)?.identity(config))
    }

    /// The names of what a run measures.
    ///
    /// # Errors
    /// If a file is at fault.
    pub fn metrics(&mut self, config: &RunConfig) -> Result<&[&'static str]> {
        Ok(&self.sources(config)?.metrics)
    }

    fn sources(&mut self, config: &RunConfig) -> Result<&Sources> {
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
        Ok(match self.sources.entry(read) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Sources::read(config)?),
        })
    }
}
