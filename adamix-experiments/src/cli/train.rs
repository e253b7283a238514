//! `adamix train`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;

use super::show;
use crate::config::{self, RunConfig};
use crate::interrupt::Interrupt;
use crate::recipe::{self, Sitting};
use crate::run::RunFolder;

/// Train a config, merge, measure, and write a run folder.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder gets run.toml, metrics.jsonl, timings.jsonl, adapter/, merged/, predictions/, curve.svg, routing.json and, last of \
all, result.json. A config that already ran there is not run again; one that was interrupted goes on from its \
checkpoint (checkpoint.steps, checkpoint.minutes) to the same bytes. SIGINT and SIGTERM let the step end, save and \
stop with exit code 3; a second one stops at once.

Examples:
  adamix train --print-config
  adamix train --config mrpc.toml --out runs/mrpc
  adamix train --config mrpc.toml --set seed=2 --set adaptation.method=lora --out runs/lora-2
  adamix train --resume runs/mrpc
  adamix train --set task=rte --set data=glue --set model=bert-folder")]
pub struct Train {
    /// The run's TOML; what it leaves out has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a key, such as optimizer.learning_rate=3e-4; may be given often.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The run's folder; without it runs/<id>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the interrupted run in this folder, by its own run.toml; --set may only move data and model.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "out"])]
    resume: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Write trace.jsonl: the rows and routes of every step.
    #[arg(long)]
    trace: bool,
    /// Print the resolved config and stop.
    #[arg(long)]
    print_config: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Train {
    pub fn run(self) -> Result<()> {
        let (config, out) = match &self.resume {
            Some(folder) => (self.unfinished(folder)?, self.resume.clone()),
            None => (
                config::read(self.config.as_deref(), &self.set)?,
                self.out.clone(),
            ),
        };
        if self.print_config {
            return show::out(format_args!("{}", toml::to_string(&config)?));
        }
        let sitting = Sitting {
            device: self.device,
            trace: self.trace,
            progress: show::progress(),
            interrupt: Interrupt::on_signals()?,
        };
        let outcome = recipe::train(&config, out.as_deref(), &sitting)?;
        sitting.progress.finish_and_clear();
        ensure!(
            !self.trace || outcome.folder.join("trace.jsonl").is_file(),
            "{}: already run, without a trace; give another --out",
            outcome.folder.display()
        );
        let result = &outcome.result;
        if self.json {
            return show::json(result);
        }
        if outcome.repeated {
            say!("{}: already run, nothing to do", outcome.folder.display())?;
        }
        say!(
            "{} {} ({} trained, {} after merging, head {})",
            result.task,
            result.method,
            result.parameters.trained,
            result.parameters.merged,
            result.parameters.head
        )?;
        say!(
            "  best  epoch {:>3}  {}",
            result.best.epoch,
            show::metrics(&result.best.metrics)
        )?;
        say!(
            "  last  epoch {:>3}  {}",
            result.last.epoch,
            show::metrics(&result.last.metrics)
        )?;
        for tested in result.test.values() {
            show::tested(tested)?;
        }
        if !result.unused_tensors.is_empty() {
            say!("  unused in the base: {}", result.unused_tensors.join(", "))?;
        }
        say!("  {}", outcome.folder.display())?;
        Ok(())
    }

    /// The config of an interrupted run.
    fn unfinished(&self, folder: &Path) -> Result<RunConfig> {
        let run = RunFolder::open(folder)?;
        let config = config::read(Some(&run.file("run.toml")), &self.set)?;
        ensure!(
            run.file("result.json").is_file() || run.file("checkpoint/state.json").is_file(),
            "{}: nothing to go on from, it has no checkpoint; train it with --config and --out",
            folder.display()
        );
        Ok(config)
    }
}
