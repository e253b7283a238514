//! `adamix evaluate`.

use std::path::PathBuf;

use adamix_data::nlg::Corpus;
use adamix_keys::Key;
use anyhow::{Result, ensure};
use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use super::state::State;
use super::{number, show};
use crate::config::{InferenceChoice, RunConfig};
use crate::recipe::generation::{DecoderBase, Remeasure};
use crate::recipe::{Base, Evaluator, Mode, TaskData};
use crate::run::RunFolder;

/// Measure a run again, in any inference mode.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adamix evaluate runs/mrpc
  adamix evaluate runs/mrpc --inference random --draw 3 --json
  adamix evaluate runs/mrpc --inference ensemble --state last
  adamix evaluate runs/mrpc --inference monte-carlo --paths 32
  adamix evaluate runs/mrpc --adapter merged-by-ties")]
pub struct Evaluate {
    /// The run's folder.
    run: PathBuf,
    /// How the mixture is run.
    #[arg(long, value_enum, default_value = "native")]
    inference: InferenceChoice,
    /// Random paths of random-ensemble and monte-carlo; the run's own number unless given.
    #[arg(long, value_name = "NUMBER", value_parser = number::count())]
    paths: Option<usize>,
    /// Which state of the model.
    #[arg(long, value_enum, default_value = "best")]
    state: State,
    /// An adapter in place of the run's own, such as one that `adamix merge` wrote.
    #[arg(long, value_name = "DIR", conflicts_with = "state")]
    adapter: Option<PathBuf>,
    /// With random inference: which draw.
    #[arg(long, default_value_t = 0)]
    draw: u64,
    /// Of a run that generates text: decode the test split and score it, too.
    #[arg(long)]
    test: bool,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// The base model, if it is no longer where the run found it.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub fn run(self) -> Result<()> {
        let folder = RunFolder::open(&self.run)?;
        let config = folder.config()?;
        let device = crate::device::open(&self.device)?;
        if let Some(corpus) = config.corpus() {
            return self.generation(&folder, &config, corpus, &device);
        }
        ensure!(!self.test, "--test is for runs that generate text");
        let base = Base::of_run(&config, self.model.as_deref())?;
        let data = TaskData::load(&config)?;
        let (path, state) = self.measured(&folder);
        let stored = base.stored(&path, None)?;
        let model = base.backbone(&device)?.with(&stored)?.model;
        let rule = config.merging.rule_for(&model)?;
        let key = self.key(&config);
        let mode = Mode::of(&config, rule.as_ref(), key)?.asked(self.inference, self.paths);
        let inference = mode.inference;
        let evaluator = Evaluator::new(&model, &base, &mode, &device)?;
        let encodings = base.read(&config, &data.task, &data.dev)?;
        let progress = show::progress();
        progress.set_length(data.dev.len() as u64);
        let predictions = evaluator.predict(&data.dev, &encodings, &show::rows(&progress))?;
        progress.finish_and_clear();
        let metrics = predictions.score(&data.task, &data.dev, config.evaluation.regression_floor);
        let certainty = predictions.certainty(&data.task, &data.dev);
        if self.json {
            return show::json(
                &json!({"task": data.task.name, "inference": inference, "state": state, "rows": data.dev.len(), "metrics": metrics, "certainty": certainty}),
            );
        }
        say!(
            "{} {:?} ({state}, {} rows)  {}",
            data.task.name,
            inference,
            data.dev.len(),
            show::metrics(&metrics)
        )?;
        if let Some(certainty) = certainty {
            show::certainty(&certainty)?;
        }
        Ok(())
    }

    /// Where random inference draws from.
    fn key(&self, config: &RunConfig) -> Key {
        let key = Key::new(config.seed).purpose("inference draw");
        key.fold(self.draw)
    }

    /// The adapter's folder, and what it is called.
    fn measured(&self, run: &RunFolder) -> (PathBuf, String) {
        if let Some(adapter) = &self.adapter {
            return (adapter.clone(), adapter.display().to_string());
        }
        (run.file(self.state.adapter()), self.state.name().to_owned())
    }

    /// The same for a run that generates text.
    fn generation(
        &self,
        folder: &RunFolder,
        config: &RunConfig,
        corpus: Corpus,
        device: &Device,
    ) -> Result<()> {
        let base = DecoderBase::of_run(config, self.model.as_deref())?;
        let (adapter, state) = self.measured(folder);
        let measure = Remeasure {
            config,
            corpus,
            adapter: &adapter,
            inference: self.inference,
            paths: self.paths,
            key: self.key(config),
            test: self.test,
        };
        let progress = show::progress();
        let (inference, metrics, rows, tested) = measure.run(&base, device, &progress)?;
        progress.finish_and_clear();
        if self.json {
            return show::json(
                &json!({"task": corpus.name(), "inference": inference, "state": state, "rows": rows, "metrics": metrics, "test": tested}),
            );
        }
        say!(
            "{} {inference:?} ({state}, {rows} pairs)  {}",
            corpus.name(),
            show::metrics(&metrics)
        )?;
        if let Some(tested) = tested {
            show::tested(&tested)?;
        }
        Ok(())
    }
}
