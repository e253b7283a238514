//! One optimiser step of an encoder: its batch, routes, passes and loss; the rest is every step's.

use adamix_core::objective::StepLoss;
use adamix_core::optimizer::AdamW;
use adamix_core::routing::{Moment, RoutedPass, RoutingPolicy, Site, auxiliary_loss};
use adamix_data::{Batch, Encoding, Example, Task, collate};
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, EncoderInput, SequenceClassifier};
use adamix_models::pass::{Below, Pass, PassDropout};
use anyhow::Result;
use burn::tensor::Device;

use super::data::targets;
use super::trace::StepTrace;
use super::update::{At, Micro, differentiate, update};
use crate::config::{Pad, RunConfig};

/// All that a step reads.
#[derive(Debug)]
pub struct Trainer<'a> {
    pub config: &'a RunConfig,
    pub encoder: &'a EncoderConfig,
    pub task: &'a Task,
    pub examples: &'a [Example],
    pub encodings: &'a [Encoding],
    pub pad_id: u32,
    pub max_length: usize,
    pub policy: &'a dyn RoutingPolicy,
    pub sites: Vec<Site>,
    pub device: &'a Device,
}

/// A batch on the device.
pub fn input(encoder: &EncoderConfig, batch: &Batch, device: &Device) -> EncoderInput {
    EncoderInput::new(
        encoder,
        &batch.ids,
        &batch.type_ids,
        &batch.mask,
        batch.seq,
        device,
    )
}

impl Trainer<'_> {
    /// Runs one step over micro-batches of indices into the examples, and moves the model.
    ///
    /// # Errors
    /// If a loss or gradient is not finite; the model has not moved then.
    pub fn step(
        &self,
        model: SequenceClassifier,
        optimizer: &mut AdamW,
        step: usize,
        learning_rate: f64,
        micros: &[Vec<u32>],
    ) -> Result<(SequenceClassifier, StepTrace)> {
        let at = At {
            step,
            rate: learning_rate,
            max_grad_norm: self.config.optimizer.max_grad_norm,
        };
        update(model, optimizer, at, micros, |model, micro, indices| {
            self.micro(model, step, micro, indices)
        })
    }

    fn micro(
        &self,
        model: &SequenceClassifier,
        step: usize,
        micro: usize,
        indices: &[u32],
    ) -> Result<Micro> {
        let rows: Vec<&Example> = indices
            .iter()
            .map(|i| &self.examples[*i as usize])
            .collect();
        let tokens: Vec<(u32, &Encoding)> = indices
            .iter()
            .map(|i| (self.examples[*i as usize].id, &self.encodings[*i as usize]))
            .collect();
        let pad_to = (self.config.input.pad == Pad::Max).then_some(self.max_length);
        let batch = collate(&tokens, self.pad_id, pad_to);
        let targets = targets(self.task, &rows)?;
        let input = input(self.encoder, &batch, self.device);
        let two = self.config.consistency.wants_second_pass(&targets)
            && self.config.passes_differ(&self.sites);
        let (mut logits, mut passes) = (Vec::new(), Vec::new());
        let below = Below::default();
        for pass in 0..if two { 2 } else { 1 } {
            let moment = self.moment(step, micro, pass);
            let routed = RoutedPass::new(self.policy, moment, &batch.rows, true);
            let with = Pass {
                below: Some(&below),
                ..self.pass(step, pass, &routed, &batch.rows)
            };
            logits.push(model.forward(&input, &with));
            passes.push(routed.into_routes());
        }
        let mut logits = logits.into_iter();
        let first = logits.next().expect("a step has a pass");
        let loss = StepLoss::new(&self.config.consistency, &targets, first, logits.next());
        let loss = loss.with_auxiliary(passes.iter().map(auxiliary_loss));
        differentiate(model, loss, step, batch.rows, passes)
    }

    fn moment(&self, step: usize, micro: usize, pass: usize) -> Moment {
        Moment {
            root: Key::new(self.config.seed).purpose("routing"),
            step: step as u64,
            micro: micro as u64,
            pass: pass as u64,
        }
    }

    fn pass<'b>(
        &self,
        step: usize,
        pass: usize,
        routed: &'b RoutedPass<'b>,
        rows: &'b [u32],
    ) -> Pass<'b> {
        let key = Key::new(self.config.seed)
            .purpose("dropout")
            .fold(step as u64)
            .fold(pass as u64);
        // Every place knows its own rate.
        let dropout = Some(PassDropout {
            key,
            examples: rows,
        });
        Pass {
            dropout,
            ..Pass::routed(routed)
        }
    }
}
