//! What a run will cost: steps, operations, memory, time. An estimate for planning, from shapes alone.

use adamix_core::objective::Targets;
use adamix_data::{Task, fewshot};
use adamix_models::encoder::EncoderConfig;
use adamix_models::gpt2::Gpt2Config;
use anyhow::{Result, bail};
use serde::Serialize;

use super::profile::{Machine, Size};
use super::queue::DRAWS;
use super::want::Mode;
use crate::config::{MeasuredAfter, Pad, RunConfig, Search};

/// The shapes of a base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Layers.
    pub layers: usize,
    /// Width.
    pub hidden: usize,
    /// Width of the feed-forward blocks.
    pub inner: usize,
    /// Attention heads.
    pub heads: usize,
    /// Tokens known; of a decoder, its output's width.
    pub vocabulary: usize,
    /// Whether every token predicts one of the vocabulary.
    pub decoder: bool,
}

/// What a run will cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Optimiser steps.
    pub steps: usize,
    /// Floating-point operations: training, evaluation in all modes, decoding.
    pub flops: f64,
    /// Bytes at the largest, of a batch of the longest rows allowed: weights, gradients, optimiser, activations.
    pub bytes: f64,
    /// Seconds on the profile's machine.
    pub seconds: f64,
}

impl Shape {
    /// The shapes of a published architecture, or of one of ours.
    pub fn named(name: &str) -> Result<Self> {
        if let Some(config) = EncoderConfig::named(name) {
            return Ok(Self {
                layers: config.num_hidden_layers,
                hidden: config.hidden_size,
                inner: config.intermediate_size,
                heads: config.num_attention_heads,
                vocabulary: config.vocab_size,
                decoder: false,
            });
        }
        if let Some(config) = Gpt2Config::named(name) {
            return Ok(Self {
                layers: config.n_layer,
                hidden: config.n_embd,
                inner: config.inner(),
                heads: config.n_head,
                vocabulary: config.vocab_size,
                decoder: true,
            });
        }
        let [layers, hidden, heads, vocabulary] = match name {
            "minilm-l6" | "minilm-mlm" => [6, 384, 12, 30_522],
            "roberta-mini" | "embedded" => [4, 192, 4, 8_192],
            "gpt2-mini" => [4, 256, 4, 8_192],
            _ => bail!("the shapes of `{name}` are not known"),
        };
        Ok(Self {
            layers,
            hidden,
            inner: 4 * hidden,
            heads,
            vocabulary,
            decoder: name.starts_with("gpt2"),
        })
    }

    /// Parameters of the layers.
    fn layer_parameters(&self) -> f64 {
        (self.layers * (4 * self.hidden * self.hidden + 2 * self.hidden * self.inner)) as f64
    }

    /// All parameters, nearly.
    fn parameters(&self) -> f64 {
        self.layer_parameters() + (self.vocabulary * self.hidden) as f64
    }

    /// Operations of a forward pass for one token of a row of `length`: two a weight, and attention's two products.
    fn forward(&self, length: f64) -> f64 {
        let attention = 4.0 * length * (self.hidden * self.layers) as f64;
        let head = if self.decoder {
            2.0 * (self.vocabulary * self.hidden) as f64
        } else {
            0.0
        };
        2.0 * self.layer_parameters() + attention + head
    }

    /// Bytes of what the backward pass needs of one token, f32: of a layer its inputs, the inner activations and the
    /// probabilities of attention (Korthikanti et al. 2022 count 34 hidden + 5 heads x length at half precision).
    fn activations(&self, length: f64) -> f64 {
        let layer = 2.0 * (34.0 * self.hidden as f64 + 5.0 * self.heads as f64 * length);
        let head = if self.decoder {
            8.0 * self.vocabulary as f64
        } else {
            0.0
        };
        self.layers as f64 * layer + head
    }
}

/// Estimates a run of `config` on a base of `shape`, whose trained model is measured in `modes` beside its own way.
pub fn estimate(
    config: &RunConfig,
    shape: Shape,
    size: Size,
    modes: &[Mode],
    machine: &Machine,
) -> Estimate {
    let schedule = &config.schedule;
    let steps = crate::recipe::number_of_steps(schedule, rows(config, size));
    let length = match config.input.pad {
        Pad::Max => config.input.max_length,
        Pad::Batch => size.tokens.min(config.input.max_length),
    } as f64;
    let method = config.adaptation.method.to_string();
    let full = method == "full";
    let head_only = method == "head";
    let passes = if has_two_passes(config) { 2.0 } else { 1.0 };
    // Backward: once for activations, and once more for weights where they are trained.
    let factor = if full {
        3.0
    } else if head_only {
        1.0
    } else {
        2.0
    };
    let batch = (schedule.batch_size * schedule.accumulation) as f64;
    let forward = shape.forward(length) * length;
    let training = steps as f64 * batch * forward * passes * factor;
    let measured = match config.evaluation.after {
        MeasuredAfter::Each => schedule.epochs,
        MeasuredAfter::Last => 1,
    };
    let measured = measured + further(config, modes);
    let evaluation = (measured * size.dev) as f64 * forward;
    let flops = training + evaluation + decoding(config, shape, size);
    let trained = if full {
        shape.parameters()
    } else {
        0.01 * shape.parameters()
    };
    // The largest batch has rows of the greatest length that is allowed.
    let longest = config.input.max_length as f64;
    let held = if head_only {
        0.0
    } else {
        shape.activations(longest)
    };
    let bytes = 4.0 * shape.parameters()
        + 12.0 * trained
        + schedule.batch_size as f64 * longest * passes * held * if full { 1.0 } else { 0.6 };
    Estimate {
        steps,
        flops,
        bytes,
        seconds: flops / machine.flops,
    }
}

/// Passes over the development rows for further modes: one a draw of random routing, one for the first expert, one an
/// expert for the ensemble.
fn further(config: &RunConfig, modes: &[Mode]) -> usize {
    let passes = |mode: &Mode| match mode {
        Mode::Random => DRAWS as usize,
        Mode::Fixed => 1,
        Mode::Ensemble => config.adaptation.experts,
    };
    modes.iter().map(passes).sum()
}

/// Operations of writing the texts of the test split: an input once, taken to be as long as a row, and then a token of
/// each hypothesis at a time, earlier ones being kept. At most: a text that ends early costs less.
fn decoding(config: &RunConfig, shape: Shape, size: Size) -> f64 {
    let generation = &config.generation;
    if config.corpus().is_none() {
        return 0.0;
    }
    let inputs = match generation.test_inputs {
        0 => size.test,
        inputs => inputs.min(size.test),
    };
    let hypotheses = match generation.search {
        Search::Released | Search::HuggingFace => generation.beams,
        Search::Greedy | Search::Sample => 1,
    };
    let tokens = size.tokens + hypotheses * generation.new_tokens;
    let length = (size.tokens + generation.new_tokens) as f64;
    let texts = inputs * generation.states.names().len();
    (texts * tokens) as f64 * shape.forward(length)
}

fn rows(config: &RunConfig, size: Size) -> usize {
    if config.few_shot.split > 0 {
        return fewshot::ROWS;
    }
    match config.input.train_rows {
        0 => size.train,
        rows => rows.min(size.train),
    }
}

/// Whether a step has a second pass. Texts are classes, too.
fn has_two_passes(config: &RunConfig) -> bool {
    let is_regression = fewshot::task(&config.task).is_ok_and(Task::is_regression);
    let targets = match is_regression {
        true => Targets::Scores(Vec::new()),
        false => Targets::Classes(Vec::new()),
    };
    config.consistency.wants_second_pass(&targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regression_has_one_pass_a_step() {
        let passes = |task: &str| {
            let task = task.to_owned();
            has_two_passes(&RunConfig {
                task,
                ..RunConfig::default()
            })
        };
        assert!(passes("mrpc") && passes("e2e") && !passes("stsb"));
    }

    #[test]
    fn a_forward_pass_costs_two_operations_a_weight() {
        // BERT-base: 85,054,464 weights in its layers' matrices less biases and norms is 84,934,656.
        let bert = Shape::named("bert-base-uncased").unwrap();
        assert_eq!(bert.layer_parameters(), 84_934_656.0);
        assert_eq!(bert.forward(0.0), 169_869_312.0);
        // Attention over 128 tokens: 12 layers of 2 products of 2 * 128 * 768 operations.
        assert_eq!(
            bert.forward(128.0) - bert.forward(0.0),
            12.0 * 4.0 * 128.0 * 768.0
        );
        assert!(Shape::named("gpt2-medium").unwrap().decoder);
        assert!(Shape::named("gpt5").is_err());
    }

    #[test]
    fn steps_are_those_of_the_released_checkpoint() {
        // BERT-base on QQP: batch 64, the best checkpoint's step 301,358 is epoch 53 (facts of the released runs).
        let mut config = RunConfig::default();
        config.schedule.batch_size = 64;
        config.schedule.epochs = 53;
        let size = Size {
            train: 363_846,
            dev: 40_430,
            test: 0,
            tokens: 31,
        };
        let shape = Shape::named("bert-base-uncased").unwrap();
        let found = estimate(&config, shape, size, &[], &machine());
        assert_eq!(found.steps, 301_358);
    }

    #[test]
    fn modes_are_passes_over_the_development_rows() {
        let size = Size {
            train: 64,
            dev: 100,
            test: 0,
            tokens: 20,
        };
        let shape = Shape::named("roberta-mini").unwrap();
        let config = RunConfig::default();
        let flops = |modes: &[Mode]| estimate(&config, shape, size, modes, &machine()).flops;
        let pass = 100.0 * 20.0 * shape.forward(20.0);
        // Twenty draws, and the four experts of the default.
        for (modes, passes) in [
            (&[Mode::Random][..], 20.0),
            (&[Mode::Fixed], 1.0),
            (&[Mode::Ensemble], 4.0),
            (&Mode::ALL, 25.0),
        ] {
            let further = (flops(modes) - flops(&[])) / pass;
            assert!((further - passes).abs() < 1e-3, "{modes:?}: {further}");
        }
    }

    #[test]
    fn decoding_costs_a_token_of_every_beam_at_a_time() {
        let size = |test| Size {
            train: 64,
            dev: 8,
            test,
            tokens: 36,
        };
        let shape = Shape::named("gpt2-mini").unwrap();
        let mut config = RunConfig {
            task: "e2e".to_owned(),
            ..RunConfig::default()
        };
        let cost = |config: &RunConfig| {
            let flops = |test| estimate(config, shape, size(test), &[], &machine()).flops;
            (flops(630) - flops(0)) / shape.forward(100.0)
        };
        let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 1e-6;
        // Ten beams of 64 tokens behind 36.
        assert!(near(cost(&config), 630.0 * 676.0), "{}", cost(&config));
        config.generation.search = Search::Greedy;
        config.generation.test_inputs = 100;
        assert!(near(cost(&config), 100.0 * 100.0), "{}", cost(&config));
        config.task = "mrpc".to_owned();
        assert_eq!(cost(&config), 0.0);
    }

    fn machine() -> Machine {
        Machine {
            name: String::new(),
            flops: 1e12,
            memory: None,
        }
    }
}
