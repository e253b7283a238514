//! One micro-batch of a task's rows: passes, loss, gradients.

use adamix_core::objective::StepLoss;
use adamix_data::{Batch, Encoding, Example, Task, collate};
use adamix_models::encoder::{EncoderConfig, EncoderInput, SequenceClassifier};
use anyhow::Result;
use burn::tensor::Device;

use super::data::targets;
use super::draws::Draws;
use super::update::{Micro, differentiate};
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
    pub draws: Draws<'a>,
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
    /// The gradients of one micro-batch of indices into the examples.
    ///
    /// # Errors
    /// If the loss is not finite.
    pub fn micro(
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
        let consistency = &self.config.consistency;
        let draws = &self.draws;
        let mut passes = vec![draws.routes(step, micro, 0, &batch.rows)];
        if consistency.wants_second_pass(&targets) && draws.differ() {
            passes.push(draws.routes(step, micro, 1, &batch.rows));
        }
        let mut logits = Vec::new();
        for (pass, routes) in passes.iter().enumerate() {
            logits.push(model.forward(&input, &draws.pass(step, pass, routes, &batch.rows)));
        }
        let mut logits = logits.into_iter();
        let first = logits.next().expect("a step has a pass");
        let loss = StepLoss::new(consistency, &targets, first, logits.next());
        differentiate(model, loss, step, batch.rows, passes)
    }
}
