//! `adamix bench`.

use adamix_models::encoder::EncoderConfig;
use anyhow::{Result, bail, ensure};
use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use super::number::{count, rate};
use super::show;
use crate::bench::{self, Generation, Machine, Times, Work, peak_memory};
use crate::config::Precision;

/// Time a training step, a forward pass or a beam search on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Weights and tokens are random: time depends on shapes alone. GFLOP/s count matrix products; the share is of one large \
product's rate in the same process. An encoder trains a step, or with --forward answers as the merged model; a decoder \
searches with beams. tools/bench_reference.py and tools/beam_speed.py time the same work in PyTorch.

Examples:
  adamix bench --architecture roberta-base --batch 16 --tokens 128
  adamix bench --architecture minilm-l6 --batch 32 --tokens 64 --passes 2 --dropout 0
  adamix bench --architecture roberta-base --forward --json
  adamix bench --architecture gpt2 --batch 1 --tokens 32 --beams 10 --new-tokens 64")]
pub struct Bench {
    /// A published architecture, or one that the program carries.
    #[arg(long, default_value = "roberta-base")]
    architecture: String,
    /// Rows, or prompts, a batch.
    #[arg(long, default_value_t = 16, value_parser = count())]
    batch: usize,
    /// Tokens a row or prompt.
    #[arg(long, default_value_t = 128, value_parser = count())]
    tokens: usize,
    /// Every dropout of an encoder.
    #[arg(long, default_value_t = 0.1, value_parser = rate)]
    dropout: f64,
    /// Width of the adapters.
    #[arg(long, default_value_t = 16, value_parser = count())]
    bottleneck: usize,
    /// Experts of the side that is not shared; 1 is a single adapter.
    #[arg(long, default_value_t = 4, value_parser = count())]
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
    /// Beams a prompt.
    #[arg(long, default_value_t = 10, value_parser = count())]
    beams: usize,
    /// Tokens that follow a prompt.
    #[arg(long, default_value_t = 64, value_parser = count())]
    new_tokens: usize,
    /// Repetitions after the one that warms up.
    #[arg(long, default_value_t = 5, value_parser = count())]
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
        let device = crate::device::open(&self.device)?;
        let (what, times) = self.times(&device)?;
        let machine = Machine::measure(&device);
        let (median, shortest) = (times.median(), times.shortest());
        let rate = times.flops / median / 1e9;
        if self.json {
            return show::json(&json!({
                "work": what,
                "median_seconds": median, "shortest_seconds": shortest, "seconds": times.seconds,
                "tokens_per_second": times.tokens as f64 / median, "examples_per_second": times.examples as f64 / median,
                "gflops": rate, "peak_memory_bytes": peak_memory(), "machine": machine,
            }));
        }
        say!(
            "{what} of {}, {} x {} tokens",
            self.architecture,
            self.batch,
            self.tokens
        )?;
        say!(
            "  median    {median:.4} s, shortest {shortest:.4} s of {}",
            self.repeats
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

    /// What was timed, and how long it took.
    fn times(&self, device: &Device) -> Result<(&'static str, Times)> {
        if let Some(decoder) = Generation::decoder(&self.architecture) {
            ensure!(
                !self.forward,
                "--forward is for an encoder; a decoder searches"
            );
            let work = Generation {
                decoder,
                prompts: self.batch,
                tokens: self.tokens,
                beams: self.beams,
                new_tokens: self.new_tokens,
                repeats: self.repeats,
            };
            return Ok(("search", work.run(device)?));
        }
        let Some(encoder) = EncoderConfig::named(&self.architecture) else {
            bail!(
                "unknown architecture `{}`; known: {}, gpt2-mini, gpt2, gpt2-medium, gpt2-large, gpt2-xl",
                self.architecture,
                EncoderConfig::NAMES.join(", ")
            );
        };
        let work = Work {
            encoder,
            batch: self.batch,
            tokens: self.tokens,
            dropout: self.dropout,
            bottleneck: self.bottleneck,
            experts: self.experts,
            passes: self.passes.into(),
            precision: match self.precision.as_str() {
                "bf16" => Precision::Bf16,
                _ => Precision::F32,
            },
            forward_only: self.forward,
            repeats: self.repeats,
        };
        let what = if self.forward { "forward" } else { "step" };
        Ok((what, bench::run(&work, device)?))
    }
}
