//! What is kept of a run: enough to recompute every table that it stands in, and small enough to commit.
//!
//! A record holds row ids, labels and our own outputs; no sentence of a data set.

#[cfg(test)]
mod example;
mod gold;
mod outputs;
mod rule;
mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::{AccountRecord, Identity, Metrics};
#[cfg(test)]
pub(crate) use example::example;
pub use gold::Gold;
pub use outputs::{Outputs, short};
pub use rule::Rule;

/// A run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The run's id.
    pub id: String,
    /// Hash of the base model's files.
    pub base_hash: String,
    /// Hash of the data files.
    pub data_hash: String,
    /// The meaning of a run.
    pub semantics: u32,
    /// The keys that differ from their defaults; with them the run can be run again.
    pub config: toml::Table,
    /// The task.
    pub task: String,
    /// The method.
    pub method: String,
    /// The metric by which the best epoch was chosen.
    pub selection: String,
    /// How the mixture was run when measured.
    pub inference: String,
    /// The answers it is measured against: a [`Gold`] by name. Empty where outputs are texts.
    pub gold: String,
    /// The best epoch on the development split.
    pub best: StateRecord,
    /// The last epoch.
    pub last: StateRecord,
    /// The model in other modes of inference, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<String, ModeRecord>,
    /// Mean training losses over equal parts of the run, and the scores after each epoch.
    pub curve: Curve,
    /// Which experts were drawn when, where the run was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Rows trained on and measured on.
    pub rows: BTreeMap<String, usize>,
    /// Parameter counts.
    pub parameters: AccountRecord,
    /// Bytes that one more task costs on disk, merged, with its head.
    pub stored_bytes: usize,
    /// Wall seconds by part.
    pub seconds: BTreeMap<String, f64>,
    /// Where it ran.
    pub device: String,
    /// The program's version.
    pub version: String,
}

/// One state of a run's model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRecord {
    /// The epoch after which it was taken.
    pub epoch: usize,
    /// The optimiser steps done then.
    pub step: usize,
    /// Its scores.
    pub metrics: Metrics,
    /// Scores on further splits, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<String, Metrics>,
    /// Its outputs; of the best epoch only where that is not the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// What each text adds to BLEU ([`Tested::bleu`](crate::run::Tested::bleu)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bleu: Vec<[u32; 6]>,
}

/// The model measured in another mode of inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeRecord {
    /// Of which state.
    pub state: Rule,
    /// What each draw gave; one where nothing is drawn.
    pub draws: Vec<DrawRecord>,
}

/// One draw of a mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawRecord {
    /// Its scores.
    pub metrics: Metrics,
    /// Its outputs.
    pub outputs: Outputs,
}

/// How training went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Last step, mean task loss and mean consistency loss of each part.
    pub losses: Vec<(usize, f64, Option<f64>)>,
    /// Step and selection metric after each epoch.
    pub scores: Vec<(usize, Option<f64>)>,
}

/// How often each expert was drawn, over equal parts of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// The last step.
    pub steps: usize,
    /// Sites in their order: name, and for each part the draws of each expert of its down side.
    pub sites: Vec<(String, Vec<Vec<u32>>)>,
}

impl Record {
    /// The run's identity.
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            base_hash: self.base_hash.clone(),
            data_hash: self.data_hash.clone(),
            semantics: self.semantics,
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        let seed = self.config.get("seed").and_then(toml::Value::as_integer);
        seed.map_or(1, |seed| seed as u64)
    }

    /// Takes over what was measured of the same run before, and not now.
    pub fn keep(&mut self, before: &Self) {
        if self.id != before.id {
            return;
        }
        for (name, mode) in &before.modes {
            self.modes
                .entry(name.clone())
                .or_insert_with(|| mode.clone());
        }
        if self.usage.is_none() {
            self.usage.clone_from(&before.usage);
        }
    }

    /// Whether a state was measured in another mode of inference.
    pub fn measured_in(&self, mode: &str, rule: Rule) -> bool {
        self.modes
            .get(mode)
            .is_some_and(|found| found.state == rule)
    }

    /// The outputs of a state: those of the last epoch where the best is the last.
    pub fn outputs(&self, rule: Rule) -> Option<&Outputs> {
        match rule {
            Rule::Best => self.best.outputs.as_ref().or(self.last.outputs.as_ref()),
            Rule::Last => self.last.outputs.as_ref(),
        }
    }

    /// A state.
    pub fn state(&self, rule: Rule) -> &StateRecord {
        match rule {
            Rule::Best => &self.best,
            Rule::Last => &self.last,
        }
    }

    /// BLEU of a perfect text: 1 by the scripts of E2E, 100 by those of WebNLG and DART.
    pub fn perfect_bleu(&self) -> f64 {
        if self.task == "e2e" { 1.0 } else { 100.0 }
    }
}
