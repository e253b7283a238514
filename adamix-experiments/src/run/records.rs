//! The records of a run: result, metrics, and files of one JSON object a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use adamix_core::account::Account;
use adamix_core::routing::Inference;
use anyhow::{Context, Result, ensure};
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

/// The scores of the test split's generated texts, for one state of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// What scored them.
    pub scorer: String,
    /// How many inputs each part of the split has.
    pub inputs: BTreeMap<String, usize>,
    /// By part: `all`, and for WebNLG `seen` and `unseen`.
    pub scores: BTreeMap<String, Metrics>,
    /// What each input of `all` adds to BLEU: matches of one to four words, words, words of the nearest reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bleu: Vec<[u32; 6]>,
    /// Why a score is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
    /// What the test split's texts score, by the model's state, where texts are generated.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub test: BTreeMap<String, Tested>,
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
    /// What routing policies learn.
    #[serde(default)]
    pub router: usize,
    /// The head.
    pub head: usize,
    /// Adaptation after merging.
    pub merged: usize,
    /// What training moves.
    pub trained: usize,
    /// See [`Account::unfrozen`].
    #[serde(default)]
    pub unfrozen: usize,
}

impl From<Account> for AccountRecord {
    fn from(a: Account) -> Self {
        Self {
            backbone: a.backbone,
            experts: a.experts,
            shared: a.shared,
            router: a.router,
            head: a.head,
            merged: a.merged,
            trained: a.trained,
            unfrozen: a.unfrozen,
        }
    }
}

/// The lines of a run's `metrics.jsonl`; one that was torn off by a kill is none.
///
/// # Errors
/// If the file cannot be read, or a line is no JSON.
pub fn read_metrics(run: &Path) -> Result<Vec<serde_json::Value>> {
    let path = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).with_context(|| path.display().to_string()))
        .collect()
}

/// A file of one JSON object a line.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    writer: BufWriter<File>,
    /// Bytes so far, those of an earlier sitting included.
    length: u64,
}

impl JsonLines {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::new(file),
            length: 0,
        })
    }

    /// Opens a file to add to its first `length` bytes; what is behind them goes.
    ///
    /// # Errors
    /// If the file is gone or shorter than that.
    pub fn resume(path: &Path, length: u64) -> Result<Self> {
        let open = || -> std::io::Result<(File, u64)> {
            let mut file = File::options().write(true).open(path)?;
            let found = file.metadata()?.len();
            if found >= length {
                file.set_len(length)?;
                file.seek(SeekFrom::End(0))?;
            }
            Ok((file, found))
        };
        let (file, found) =
            open().with_context(|| format!("{}: cannot be gone on with", path.display()))?;
        ensure!(
            found >= length,
            "{}: has {found} bytes, {length} at the checkpoint; put the file back, or remove checkpoint/ to begin the run again",
            path.display()
        );
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::new(file),
            length,
        })
    }

    /// Adds a line.
    pub fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(value)? + "\n";
        self.length += line.len() as u64;
        self.writer
            .write_all(line.as_bytes())
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }

    /// Hands all lines to the system.
    pub fn flush(&mut self) -> Result<()> {
        self.writer
            .flush()
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }

    /// Hands all lines to the disk and gives the file's length.
    ///
    /// # Errors
    /// If they cannot be written, or the file is no longer there as it was written.
    pub fn settle(&mut self) -> Result<u64> {
        self.flush()?;
        let path = &self.path;
        let sync = self.writer.get_ref().sync_data();
        sync.with_context(|| format!("{}: cannot be written", path.display()))?;
        let found = std::fs::metadata(path).map(|m| m.len()).unwrap_or(0);
        ensure!(
            found == self.length,
            "{}: was removed or changed while the run wrote it",
            path.display()
        );
        Ok(self.length)
    }
}
