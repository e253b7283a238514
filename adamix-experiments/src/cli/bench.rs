//! `adamix bench`.

use adamix_models::encoder::EncoderConfig;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::show;
use crate::bench::{self, Machine, Work, peak_memory};
use crate::config::Precision;

/// Time a training step or a forward pass on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Weights and tokens are random: time depends on shapes alone. GFLOP/s count matrix products; the share is of one large
product's rate in the same process. tools/bench_reference.py times the same work in PyTorch.

Examples:
  adamix bench --architecture roberta-base --batch 16 --tokens 128
  adamix bench --architecture minilm-l6 --batch 32 --tokens 64 --passes 2 --dropout 0
  adamix bench --architecture roberta-base --forward --json")]
pub struct Bench {
    /// A published architecture.
    #[arg(long, default_value = "roberta-base")]
    architecture: String,
    /// Rows a batch.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Tokens a row.
    #[arg(long, default_value_t = 128)]
    tokens: usize,
    /// Every dropout of the backbone.
    #[arg(long, default_value_t = 0.1)]
    dropout: f64,
    /// Width of the adapters.
    #[arg(long, default_value_t = 16)]
    bottleneck: usize,
    /// Experts of the side that is not shared; 1 is a single adapter.
    #[arg(long, default_value_t = 4)]
    experts: usize,
    /// Passes a step: 2 with the consistency term.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    passes: u8,
    /// What the weights of frozen maps are stored in.
    #[arg(long, value_parser = ["f32", "bf16"], default_value = "f32")]
    precision: String,
    /// Only the forward pass of the merged model.
    #[arg(long)]
    forward: bool,
    /// Repetitions after the one that warms up.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub fn run(self) -> Result<()> {
        let known = || {
            let names = EncoderConfig::NAMES.join(", ");
            format!(
                "unknown architecture `{}`; known: {names}",
                self.architecture
            )
        };
        let device = crate::device::open(&self.device)?;
        let work = Work {
            encoder: EncoderConfig::named(&self.architecture).with_context(known)?,
            batch: self.batch.max(1),
            tokens: self.tokens.max(1),
            dropout: self.dropout,
            bottleneck: self.bottleneck.max(1),
            experts: self.experts.max(1),
            passes: self.passes.into(),
            precision: match self.precision.as_str() {
                "bf16" => Precision::Bf16,
                _ => Precision::F32,
            },
            forward_only: self.forward,
            repeats: self.repeats.max(1),
        };
        let times = bench::run(&work, &device)?;
        let machine = Machine::measure(&device);
        let (median, shortest) = (times.median(), times.shortest());
        let rate = times.flops / median / 1e9;
        if self.json {
            return show::json(&json!({
                "median_seconds": median, "shortest_seconds": shortest, "seconds": times.seconds,
                "tokens_per_second": times.tokens as f64 / median, "examples_per_second": times.examples as f64 / median,
                "gflops": rate, "peak_memory_bytes": peak_memory(), "machine": machine,
            }));
        }
        let what = if self.forward { "forward" } else { "step" };
        say!(
            "{what} of {}, {} x {} tokens",
            self.architecture,
            work.batch,
            work.tokens
        )?;
        say!(
            "  median    {median:.4} s, shortest {shortest:.4} s of {}",
            work.repeats
        )?;
        say!("  tokens    {:.0} a second", times.tokens as f64 / median)?;
        say!(
            "  products  {rate:.1} GFLOP/s, {:.0} % of {:.1} ({})",
            100.0 * rate / machine.gemm_gflops,
            machine.gemm_gflops,
            machine.processor
        )?;
        if let Some(bytes) = peak_memory() {
            say!("  memory    {:.0} MB at most", bytes as f64 / 1e6)?;
        }
        Ok(())
    }
}
