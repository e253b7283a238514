//! The sweep file.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::criterion::Choose;
use super::search::Search;
use crate::config;

/// A sweep, as its TOML file says it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SweepFile {
    /// A run's TOML that all runs start from; the path is relative to this file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// A file of further `[[case]]`s, such as the `chosen.toml` of another sweep; relative to this file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cases: String,
    /// Keys of all runs, over those of `base`.
    pub config: Table,
    /// Settings that belong together, one after the other.
    pub case: Vec<Table>,
    /// Lists of values that move together: the first of each, the second of each, and so on.
    pub zip: Vec<Table>,
    /// Lists of values, each combined with each.
    pub grid: Table,
    /// Drawn settings, in place of a grid that would be too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// How settings are compared.
    pub choose: Choose,
    /// What one run needs.
    pub resources: Resources,
    /// Runs on this machine.
    pub local: Local,
    /// Runs by Slurm.
    pub slurm: Slurm,
}

/// What one run needs; what is left out is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Such as `4G`.
    pub memory: Option<String>,
    /// Threads of the CPU.
    pub threads: Option<usize>,
    /// GPUs, for the scheduler.
    pub gpus: usize,
    /// Wall time, for the scheduler, such as `4:00:00`.
    pub time: Option<String>,
}

/// Runs side by side on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Local {
    /// How many at once; one a device where left out.
    pub workers: Option<usize>,
    /// What all runs together may take, such as `16G`; what the machine has free where left out.
    pub memory: Option<String>,
}

/// A job array of Slurm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slurm {
    /// The partition; the cluster's default where left out.
    pub partition: Option<String>,
    /// How many runs at once; as many as the scheduler gives where left out.
    pub at_once: Option<usize>,
    /// How long before its time is up a run is told to save and stop, in seconds.
    pub warning: u32,
    /// Further `#SBATCH` options, such as `--account=nlp`.
    pub options: Vec<String>,
    /// Shell lines before a run, such as `module load cuda`.
    pub setup: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Self {
        Self {
            partition: None,
            at_once: None,
            warning: 120,
            options: Vec::new(),
            setup: Vec::new(),
        }
    }
}

impl SweepFile {
    /// Reads a sweep file, with the files it names: the result stands alone.
    ///
    /// # Errors
    /// If a file cannot be read or says what is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let table = config::read_table(path)?;
        let mut file: Self = config::typed(table).with_context(|| path.display().to_string())?;
        let sibling = |name: &str| path.parent().unwrap_or(Path::new("")).join(name);
        if !file.base.is_empty() {
            let mut config = config::read_table(&sibling(&file.base))?;
            config::overlay(&mut config, std::mem::take(&mut file.config));
            file.config = config;
            file.base.clear();
        }
        if !file.cases.is_empty() {
            let further = sibling(&file.cases);
            let cases: Cases = config::typed(config::read_table(&further)?)
                .with_context(|| further.display().to_string())?;
            ensure!(
                !cases.case.is_empty(),
                "{}: has no [[case]]",
                further.display()
            );
            file.case.extend(cases.case);
            file.cases.clear();
        }
        Ok(file)
    }
}

/// A file of cases alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// Settings that belong together.
    pub case: Vec<Table>,
}
