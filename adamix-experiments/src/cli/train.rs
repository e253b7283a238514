//! `adamix train`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::show;
use crate::config;
use crate::recipe;

/// Train a config, merge, measure, and write a run folder.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder gets run.toml, metrics.jsonl, timings.jsonl, adapter/, merged/, predictions/, curve.svg and, last of
all, result.json. A config that already ran there is not run again.

Examples:
  adamix train --print-config
  adamix train --config mrpc.toml --out runs/mrpc
  adamix train --config mrpc.toml --set seed=2 --set adaptation.method=adapter --out runs/mrpc-adapter-2
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
        let config = config::read(self.config.as_deref(), &self.set)?;
        if self.print_config {
            print!("{}", toml::to_string(&config)?);
            return Ok(());
        }
        let progress = show::progress();
        let outcome = recipe::train(
            &config,
            self.out.as_deref(),
            &self.device,
            self.trace,
            &progress,
        )?;
        progress.finish_and_clear();
        let result = &outcome.result;
        if self.json {
            return show::json(result);
        }
        if outcome.repeated {
            println!("{}: already run, nothing to do", outcome.folder.display());
        }
        println!(
            "{} {} ({} trained, {} after merging, head {})",
            result.task,
            result.method,
            result.parameters.trained,
            result.parameters.merged,
            result.parameters.head
        );
        println!(
            "  best  epoch {:>3}  {}",
            result.best.epoch,
            show::metrics(&result.best.metrics)
        );
        println!(
            "  last  epoch {:>3}  {}",
            result.last.epoch,
            show::metrics(&result.last.metrics)
        );
        if !result.unused_tensors.is_empty() {
            println!("  unused in the base: {}", result.unused_tensors.join(", "));
        }
        println!("  {}", outcome.folder.display());
        Ok(())
    }
}
