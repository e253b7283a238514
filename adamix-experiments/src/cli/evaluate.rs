//! `adamix evaluate`.

use std::path::PathBuf;

use adamix_core::routing;
use adamix_keys::Key;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::show;
use crate::config::InferenceChoice;
use crate::recipe::{self, Base, Evaluator, TaskData, encode};
use crate::run::RunFolder;

/// Measure a run again, in any inference mode.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adamix evaluate runs/mrpc
  adamix evaluate runs/mrpc --inference random --draw 3 --json
  adamix evaluate runs/mrpc --inference ensemble --state last")]
pub struct Evaluate {
    /// The run's folder.
    run: PathBuf,
    /// How the mixture is run.
    #[arg(long, value_enum, default_value = "native")]
    inference: Mode,
    /// Which state of the model.
    #[arg(long, value_enum, default_value = "best")]
    state: State,
    /// With random inference: which draw.
    #[arg(long, default_value_t = 0)]
    draw: u64,
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

/// The modes, for the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// As the run was measured.
    Native,
    /// Experts averaged into one module.
    Merged,
    /// Random experts for each example, side and layer.
    Random,
    /// Always the first expert.
    Fixed,
    /// Mean logits of the diagonal paths.
    Ensemble,
}

/// Which state of a run's model.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// The best epoch.
    Best,
    /// The last epoch.
    Last,
    /// Before training.
    Initial,
}

impl Evaluate {
    pub fn run(self) -> Result<()> {
        let folder = RunFolder::open(&self.run)?;
        let config = folder.config()?;
        let device = crate::device::open(&self.device)?;
        let base = match &self.model {
            Some(folder) => Base::open(folder)?,
            None => Base::open(&config.model_folder()?)?,
        };
        let data = TaskData::load(&config)?;
        let state = format!("{:?}", self.state).to_lowercase();
        let (adapted, _) = base.with_adapter(&folder.file(&format!("adapter/{state}")), &device)?;
        let policy = routing::policy(&config.routing.policy).context("the run's routing policy")?;
        let rule = config.merging.rule()?;
        let mode = match self.inference {
            Mode::Native => config.evaluation.inference,
            Mode::Merged => InferenceChoice::Merged,
            Mode::Random => InferenceChoice::Random,
            Mode::Fixed => InferenceChoice::Fixed,
            Mode::Ensemble => InferenceChoice::Ensemble,
        };
        let inference = mode.resolve(policy.native_inference());
        let key = Key::new(config.seed)
            .purpose("inference draw")
            .fold(self.draw);
        let mode = recipe::Mode {
            inference,
            rule: rule.as_ref(),
            key,
            batch_size: config.evaluation.batch_size,
        };
        let evaluator = Evaluator::new(&adapted.model, &base, &mode, &device)?;
        let encodings = encode(
            &base.tokenizer,
            &data.dev,
            base.max_length(config.input.max_length),
        )?;
        let progress = show::progress();
        progress.set_length(data.dev.len() as u64);
        let predictions = evaluator.predict(&data.dev, &encodings, &show::rows(&progress))?;
        progress.finish_and_clear();
        let metrics = predictions.score(&data.task, &data.dev, config.evaluation.regression_floor);
        if self.json {
            return show::json(
                &json!({"task": data.task.name, "inference": inference, "state": state, "rows": data.dev.len(), "metrics": metrics}),
            );
        }
        say!(
            "{} {:?} ({state}, {} rows)  {}",
            data.task.name,
            inference,
            data.dev.len(),
            show::metrics(&metrics)
        )?;
        Ok(())
    }
}
