//! `adamix demo`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::show;
use crate::config;
use crate::recipe;

/// Compare full fine-tuning, one adapter and AdaMix on what the program ships.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the runs go.
    #[arg(long, default_value = "runs/demo")]
    out: PathBuf,
}

impl Demo {
    pub fn run(self) -> Result<()> {
        for method in ["full", "adapter", "adamix"] {
            let config = config::read(None, &[format!("adaptation.method={method}")])?;
            let progress = show::progress();
            let outcome = recipe::train(
                &config,
                Some(&self.out.join(method)),
                "flex",
                false,
                &progress,
            )?;
            progress.finish_and_clear();
            println!("{method}: {}", show::metrics(&outcome.result.best.metrics));
        }
        Ok(())
    }
}
