//! What a trained run leaves in its folder, alike for every kind of run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use adamix_core::merging::MergeRule;
use adamix_core::routing::{Inference, Site, Usage};
use adamix_models::hub::adapter::AdapterConfig;
use adamix_models::hub::{adapter, fault, write};
use adamix_models::site::Adaptable;
use anyhow::Result;

use super::adapted::Adapted;
use super::driver::Finished;
use crate::checkpoint::{Clocks, Store};
use crate::config::RunConfig;
use crate::run::{Identity, Measured, RunFolder, RunResult, Tested};

/// A run's folder with what every state of its model is written by.
pub struct Ending<'a, M> {
    pub config: &'a RunConfig,
    pub folder: &'a RunFolder,
    /// The model before its first step.
    pub adapted: &'a Adapted<M>,
    /// Of the adapters as training moves them.
    pub description: &'a AdapterConfig,
    pub rule: &'a dyn MergeRule,
    /// Writes a merged model as the adapter that serves.
    pub serve: &'a dyn Fn(&Adapted<M>, &Path) -> Result<()>,
}

/// What became of the states.
pub struct States {
    best: Measured,
    last: Measured,
    clocks: Clocks,
    begun: Instant,
}

/// What only the kind of run knows of its result.
pub struct Told {
    pub identity: Identity,
    pub task: String,
    /// The metric that told the best epoch.
    pub selection: String,
    pub inference: Inference,
    /// Scores on the test split, by state.
    pub test: BTreeMap<String, Tested>,
    /// Rows by split.
    pub rows: BTreeMap<String, usize>,
    pub device: String,
    pub unused_tensors: Vec<String>,
}

/// How a call of [`train`](super::train) ended.
#[derive(Debug)]
pub struct Outcome {
    /// The run's folder.
    pub folder: PathBuf,
    /// Its result.
    pub result: RunResult,
    /// Whether the run was already there.
    pub repeated: bool,
}

impl<M: Adaptable> Ending<'_, M> {
    /// Writes the model before its first step, unless it is there.
    pub fn initial(&self) -> Result<()> {
        let folder = self.folder.file("adapter/initial");
        if !folder.join(adapter::CONFIG).is_file() {
            self.adapted.save(&folder, self.description)?;
        }
        Ok(())
    }

    /// Writes best and last state, as they were trained and merged; `also` writes what the task keeps of a state.
    pub fn states<P>(
        &self,
        finished: Finished<P>,
        sites: &[Site],
        mut also: impl FnMut(&str, &Adapted<M>, P) -> Result<()>,
    ) -> Result<States> {
        let begun = Instant::now();
        let best = finished.best.expect("the first epoch is the best so far");
        let states = States {
            best: best.measured.clone(),
            last: finished.last.measured.clone(),
            clocks: finished.clocks,
            begun,
        };
        for (name, state) in [("best", best), ("last", finished.last)] {
            let adapted = self.adapted.with_values(state.values)?;
            let folder = self.folder.file(&format!("adapter/{name}"));
            adapted.save(&folder, self.description)?;
            fault::point("adapter");
            let merged = adapted.with_model(adapted.model.merged(self.rule)?);
            (self.serve)(&merged, &self.folder.file(&format!("merged/{name}")))?;
            also(name, &adapted, state.predictions)?;
        }
        crate::plot::learning_curve(self.folder)?;
        self.routing(&finished.usage, sites)?;
        Ok(states)
    }

    /// How the experts were used, where there was a choice.
    fn routing(&self, usage: &Usage, sites: &[Site]) -> Result<()> {
        if sites.iter().any(|site| site.down.max(site.up) > 1) {
            let figures = serde_json::to_string_pretty(&usage.figures())? + "\n";
            write::atomic(&self.folder.file("routing.json"), figures.as_bytes())?;
        }
        Ok(())
    }

    /// Writes `result.json`, which makes the folder a run, and removes the checkpoint.
    pub fn result(&self, states: States, told: Told, store: Store) -> Result<RunResult> {
        let account = self.adapted.account();
        let clocks = states.clocks;
        let parts = [
            ("preparation", clocks.preparation),
            ("training", clocks.training),
            ("evaluation", clocks.evaluation),
            ("finishing", states.begun.elapsed().as_secs_f64()),
        ];
        let mut seconds: BTreeMap<String, f64> =
            parts.map(|(name, part)| (name.to_owned(), part)).into();
        seconds.insert("total".to_owned(), parts.iter().map(|(_, part)| part).sum());
        let result = RunResult {
            identity: told.identity,
            task: told.task,
            method: self.config.adaptation.method.to_string(),
            selection: told.selection,
            inference: told.inference,
            best: states.best,
            last: states.last,
            test: told.test,
            rows: told.rows,
            parameters: account.into(),
            stored_bytes: account.stored_bytes(),
            seconds,
            device: told.device,
            unused_tensors: told.unused_tensors,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.folder.finish(&result)?;
        fault::point("finished");
        store.remove()?;
        Ok(result)
    }
}
