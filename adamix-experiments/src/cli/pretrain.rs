//! `adamix pretrain`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::show;
use crate::interrupt::Interrupt;
use crate::pretrain::{self, PretrainConfig};
use crate::recipe::Sitting;

/// Pretrain a small language model, masked or causal, or the head of a frozen one.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder becomes a Hugging Face folder (RoBERTa or GPT-2, 16-bit safetensors, its own byte-level BPE; or a base \
model with a trained head) with pretrain.json, the record. A run that was stopped goes on from its checkpoint, also with \
another number of steps if the schedule agrees on those that are done; one that is finished is not run again. SIGINT and \
SIGTERM let the step end, save and stop with exit code 3.

Example:
  adamix pretrain --config adamix-experiments/embedded/gpt2-mini/pretrain.toml --out gpt2-mini")]
pub struct Pretrain {
    /// The pretraining's TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The model's folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the record as JSON.
    #[arg(long)]
    json: bool,
}

impl Pretrain {
    pub fn run(self) -> Result<()> {
        let config = PretrainConfig::read(&self.config)?;
        let sitting = Sitting {
            progress: show::progress(),
            interrupt: Interrupt::on_signals()?,
            ..Sitting::quiet("flex")
        };
        let record = pretrain::run(&config, &self.out, &sitting)?;
        sitting.progress.finish_and_clear();
        if self.json {
            return show::json(&record);
        }
        say!(
            "{} parameters, {} steps, {} tokens",
            record.parameters,
            record.steps,
            record.tokens
        )?;
        for part in &record.held_out {
            say!(
                "  {:<24} perplexity {:.1} (unigram {:.1}) at {} tokens",
                part.name,
                part.perplexity,
                part.unigram_perplexity,
                part.places
            )?;
        }
        say!("  {}", self.out.display())?;
        Ok(())
    }
}
