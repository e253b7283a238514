//! The records of a run: result, metrics, and files of one JSON object a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use adamix_core::account::Account;
use adamix_core::routing::Inference;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Identity;

/// Scores by the metric's name; `None` where a metric is undefined.
pub type Metrics = BTreeMap<String, Option<f64>>;

/// The scores of one state of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The epoch after which it was taken, from 1.
    pub epoch: usize,
    /// The optimiser steps done then.
    pub step: usize,
    /// On the development split.
    pub metrics: Metrics,
    /// On further development splits, by name (MNLI's mismatched half).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<String, Metrics>,
}

/// `result.json`: the run in one object. Its presence says that the run is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// What decided the outcome.
    #[serde(flatten)]
    pub identity: Identity,
    /// The task.
    pub task: String,
    /// The method.
    pub method: String,
    /// The metric by which the best epoch was chosen.
    pub selection: String,
    /// How the mixture was run when measured.
    pub inference: Inference,
    /// The best epoch on the development split.
    pub best: Measured,
    /// The last epoch.
    pub last: Measured,
    /// Examples trained on, and measured on.
    pub rows: BTreeMap<String, usize>,
    /// Parameter counts.
    pub parameters: AccountRecord,
    /// Bytes that one more task costs on disk, merged, with its head.
    pub stored_bytes: usize,
    /// Wall seconds by part.
    pub seconds: BTreeMap<String, f64>,
    /// Tensors of the base's files that the model has no use for, such as `position_ids` or another head.
    #[serde(default)]
    pub unused_tensors: Vec<String>,
    /// Where it ran.
    pub device: String,
    /// The program's version.
    pub version: String,
}

/// The counts of [`Account`], as written in results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Frozen or not, all below the head that is no adaptation.
    pub backbone: usize,
    /// Adaptation on sides with several experts.
    pub experts: usize,
    /// Adaptation on shared sides.
    pub shared: usize,
    /// The head.
    pub head: usize,
    /// Adaptation after merging.
    pub merged: usize,
    /// What training moves.
    pub trained: usize,
}

impl From<Account> for AccountRecord {
    fn from(a: Account) -> Self {
        Self {
            backbone: a.backbone,
            experts: a.experts,
            shared: a.shared,
            head: a.head,
            merged: a.merged,
            trained: a.trained,
        }
    }
}

/// A file of one JSON object a line.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl JsonLines {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::new(file),
        })
    }

    /// Adds a line.
    pub fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(value)?;
        writeln!(self.writer, "{line}")
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }

    /// Hands all lines to the system.
    pub fn flush(&mut self) -> Result<()> {
        self.writer
            .flush()
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }
}
