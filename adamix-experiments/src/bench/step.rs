//! A training step and a forward pass of an encoder with mixtures, on rows of random tokens.

use adamix_core::adaptation::{AdaptationConfig, BottleneckConfig};
use adamix_core::merging::Uniform;
use adamix_core::objective::{Consistency, StepLoss, Targets};
use adamix_core::optimizer::{self, AdamW, AdamWConfig};
use adamix_core::parameter;
use adamix_core::routing::{Moment, RoutedPass, Stochastic};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::hub::Source;
use adamix_models::pass::{Below, Pass, PassDropout};
use adamix_models::site::{Adaptable, Attachment};
use anyhow::{Result, ensure};
use burn::tensor::Device;

use super::{Times, repeat};
use crate::config::Precision;
use crate::recipe::stored;

/// What is timed.
#[derive(Clone, Debug)]
pub struct Work {
    /// The backbone's shape; its weights are random.
    pub encoder: EncoderConfig,
    /// Rows a batch.
    pub batch: usize,
    /// Tokens a row, none of them padding.
    pub tokens: usize,
    /// Every dropout of the backbone.
    pub dropout: f64,
    /// Width of the adapters.
    pub bottleneck: usize,
    /// Experts of the side that is not shared.
    pub experts: usize,
    /// Passes a step: 2 with the consistency term.
    pub passes: usize,
    /// What the frozen maps are stored in.
    pub precision: Precision,
    /// Only the forward pass of the merged model.
    pub forward_only: bool,
    /// Repetitions after the one that warms up.
    pub repeats: usize,
}

impl Work {
    /// Products and sums of the matrix products of one repetition: in each layer the six linear maps, attention's
    /// two products, and the adapter; backwards the same for inputs, without the lowest layer's attention and
    /// feed-forward maps, which nothing that is trained lies below.
    fn flops(&self) -> f64 {
        let c = &self.encoder;
        let (hidden, wide) = (c.hidden_size as f64, c.intermediate_size as f64);
        let tokens = (self.batch * self.tokens) as f64;
        let linear = 2.0 * tokens * (4.0 * hidden * hidden + 2.0 * hidden * wide);
        let attention = 4.0 * tokens * self.tokens as f64 * hidden;
        let adapter = 4.0 * tokens * hidden * self.bottleneck as f64;
        let layers = c.num_hidden_layers as f64;
        let forward = layers * (linear + attention + adapter);
        if self.forward_only {
            return forward;
        }
        // Attention's backward pass has two products for each of the forward's, and computes the scores again.
        let backward = (layers - 1.0) * (linear + 2.5 * attention) + layers * 2.0 * adapter;
        // What lies below the first adapter is run once for all passes where nothing is dropped.
        let once = match self.dropout == 0.0 {
            true => (self.passes as f64 - 1.0) * (linear + attention),
            false => 0.0,
        };
        self.passes as f64 * (forward + backward) - once
    }

    fn model(&self, device: &Device) -> Result<SequenceClassifier> {
        let key = Key::new(1);
        let classifier = SequenceClassifierConfig {
            encoder: self.encoder.clone().with_dropout(self.dropout),
            outputs: 2,
            pooling: Pooling::Cls,
        };
        let model = classifier.build_all(&Source::random(key.purpose("base"), device))?;
        let model = parameter::set_trainable(model, |info| info.name.starts_with("classifier."));
        let mixture = BottleneckConfig::new(self.bottleneck).with_experts(self.experts);
        let mixture = Attachment::new(AdaptationConfig::Bottleneck(mixture));
        let model = model.attach(&[mixture], 0, key.purpose("mixture"), device)?;
        Ok(stored(model, self.precision.halves()))
    }
}

/// Times a piece of work on a device.
///
/// # Errors
/// If the rows are longer than the encoder's positions.
pub fn run(work: &Work, device: &Device) -> Result<Times> {
    let longest = work.encoder.max_length();
    ensure!(
        work.tokens <= longest,
        "--tokens is {}; this encoder has {longest} positions",
        work.tokens
    );
    let device = device.clone().autodiff();
    let ids: Vec<i32> = (0..work.batch * work.tokens)
        .map(|i| {
            5 + Key::new(3)
                .fold(i as u64)
                .below(work.encoder.vocab_size - 5) as i32
        })
        .collect();
    let (types, mask) = (vec![0; ids.len()], vec![1.0; ids.len()]);
    let rows: Vec<u32> = (0..work.batch as u32).collect();
    let model = work.model(&device)?;
    adamix_kernels::release_freed_memory();
    let seconds = if work.forward_only {
        let model = model.merged(&Uniform {})?;
        let device = device.without_autodiff();
        let input = EncoderInput::new(&work.encoder, &ids, &types, &mask, work.tokens, &device);
        repeat(work.repeats, || {
            let _ = model.forward(&input, &Pass::EVALUATION).into_data();
            Ok(())
        })?
    } else {
        let input = EncoderInput::new(&work.encoder, &ids, &types, &mask, work.tokens, &device);
        let mut step = Step {
            work,
            model: Some(model),
            optimizer: AdamW::new(AdamWConfig::default()),
            done: 0,
        };
        repeat(work.repeats, || {
            step.run(&input, &rows);
            Ok(())
        })?
    };
    Ok(Times {
        seconds,
        flops: work.flops(),
        tokens: work.batch * work.tokens,
        examples: work.batch,
    })
}

/// A training that goes on from repetition to repetition.
struct Step<'a> {
    work: &'a Work,
    model: Option<SequenceClassifier>,
    optimizer: AdamW,
    done: u64,
}

impl Step<'_> {
    fn run(&mut self, input: &EncoderInput, rows: &[u32]) {
        self.done += 1;
        let model = self.model.take().expect("a step gives the model back");
        let targets = Targets::Classes(rows.iter().map(|row| row % 2).collect());
        let consistency = Consistency::default();
        let below = Below::default();
        let mut logits = (0..self.work.passes as u64).map(|pass| {
            let key = Key::new(2).fold(self.done).fold(pass);
            let moment = Moment::draw(key.purpose("routing"), 0);
            let policy = Stochastic {};
            let routed = RoutedPass::new(&policy, moment, rows, true);
            let dropout = (self.work.dropout > 0.0).then_some(PassDropout {
                key: key.purpose("dropout"),
                examples: rows,
            });
            model.forward(
                input,
                &Pass {
                    dropout,
                    below: Some(&below),
                    ..Pass::routed(&routed)
                },
            )
        });
        let first = logits.next().expect("a step has a pass");
        let second = logits.next();
        drop(logits);
        let loss = StepLoss::new(&consistency, &targets, first, second);
        let mut gradients = parameter::gradients(&model, &mut loss.total.backward());
        let norm = optimizer::global_norm(&gradients);
        optimizer::clip_global_norm(&mut gradients, norm, 1.0);
        self.model = Some(self.optimizer.step(model, gradients, 1e-4));
    }
}
