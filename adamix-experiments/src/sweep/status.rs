//! Where a sweep stands, read from the store alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;
use toml::Table;

use super::claim::{Claims, Seen};
use super::criterion::Choose;
use super::folder::SweepFolder;
use super::plan::Spec;
use super::settings::Settings;
use crate::config::dotted;
use crate::run::Measured;

/// Where one run stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunStatus {
    /// Its id.
    pub id: String,
    /// Its values on all axes of the sweep.
    pub settings: Settings,
    /// The round of successive halving, from 0.
    pub round: usize,
    /// `done`, `running`, `interrupted`, `failed` or `waiting`.
    pub state: &'static str,
    /// Who is at it, or why it failed.
    pub message: Option<String>,
    /// The value by which the sweep compares settings.
    pub value: Option<f64>,
    /// The best epoch.
    pub best: Option<Measured>,
    /// The last epoch.
    pub last: Option<Measured>,
}

/// Where a sweep stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// How many runs are in each state.
    pub counts: BTreeMap<&'static str, usize>,
    /// All runs, in the order of the plan.
    pub runs: Vec<RunStatus>,
}

impl Status {
    /// Reads the store.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn read(folder: &SweepFolder) -> Result<Self> {
        let claims = folder.claims();
        let (specs, choose) = (folder.specs()?, folder.file()?.choose);
        let axes: BTreeSet<&String> = specs.iter().flat_map(|s| s.settings.keys()).collect();
        let status = |spec: &Spec| {
            let mut status = of(folder, &claims, &choose, spec);
            // What one run leaves at its default, another one changes.
            let all = Table::try_from(&spec.config).expect("a config is a table");
            let said = dotted(&all)
                .into_iter()
                .filter(|(key, _)| axes.contains(key));
            status.settings.extend(said);
            status
        };
        let runs: Vec<RunStatus> = specs.iter().map(status).collect();
        let mut counts = BTreeMap::new();
        for run in &runs {
            *counts.entry(run.state).or_default() += 1;
        }
        Ok(Self { counts, runs })
    }

    /// How many runs are in a state.
    pub fn count(&self, state: &str) -> usize {
        self.counts.get(state).copied().unwrap_or(0)
    }
}

fn of(folder: &SweepFolder, claims: &Claims, choose: &Choose, spec: &Spec) -> RunStatus {
    let result = folder.result(&spec.id);
    let (state, message) = match (&result, claims.look(&spec.id)) {
        (Some(_), _) => ("done", None),
        (None, Seen::Free) => ("waiting", None),
        (None, Seen::Running(owner)) => ("running", Some(owner)),
        (None, Seen::Interrupted(by)) => ("interrupted", Some(by)),
        (None, Seen::Failed(message)) => ("failed", Some(message)),
    };
    let value = result.as_ref().and_then(|result| choose.value(result));
    let (best, last) = result.map(|r| (r.best, r.last)).unzip();
    RunStatus {
        id: spec.id.clone(),
        settings: spec.settings.clone(),
        round: spec.round,
        state,
        message,
        value,
        best,
        last,
    }
}
