//! Base models that a profile trains itself, before the first run that needs one.

use std::path::Path;

use adamix_models::hub::write;
use anyhow::Result;
use serde::Deserialize;

use crate::config::{RunConfig, resolve_path};
use crate::pretrain::{self, PretrainConfig, Record};
use crate::recipe::Sitting;

/// A base model of a profile's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnBase {
    /// Its folder, as runs name it.
    pub model: String,
    /// The file that `adamix pretrain` makes it from.
    pub pretrain: String,
}

impl OwnBase {
    /// What it is called.
    pub fn name(&self) -> &str {
        self.model.rsplit('/').next().unwrap_or(&self.model)
    }

    /// What a results folder knows of its pretraining.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn record(&self, results: &Path) -> Result<Option<Record>> {
        Record::read(&results.join("bases").join(self.name()))
    }
}

/// Trains the base of a run if it is one of a profile's own and not there yet, and keeps the record of its
/// pretraining with the results.
///
/// # Errors
/// If the pretraining fails or is stopped; it goes on from its checkpoint the next time.
pub fn prepare(
    bases: &[OwnBase],
    config: &RunConfig,
    results: &Path,
    sitting: &Sitting,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let Some(own) = bases.iter().find(|own| own.model == config.model) else {
        return Ok(());
    };
    let folder = config.model_folder()?;
    let record = match Record::read(&folder)? {
        Some(record) => record,
        None => {
            tell(&format!(
                "{}: trained first, by {}",
                own.model, own.pretrain
            ));
            let settings = PretrainConfig::read(&resolve_path(&own.pretrain)?)?;
            pretrain::run(&settings, &folder, sitting)?
        }
    };
    if own.record(results)?.as_ref() != Some(&record) {
        let path = results.join("bases").join(own.name()).join("pretrain.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&record)?);
        write::atomic(&path, text.as_bytes())?;
    }
    Ok(())
}
