//! One micro-batch of pairs: passes, loss, gradients.

use adamix_core::objective::language_model::{LanguageModelObjective, NextTokens};
use adamix_data::nlg::{Completion, Pair, collate};
use adamix_models::gpt2::{DecoderInput, Gpt2};
use anyhow::Result;
use burn::tensor::Device;

use super::super::draws::Draws;
use super::super::update::{Micro, differentiate};
use crate::config::{Pad, RunConfig};

/// All that a step reads.
#[derive(Debug)]
pub struct Trainer<'a> {
    pub config: &'a RunConfig,
    pub pairs: &'a [Pair],
    pub completions: &'a [Completion],
    pub max_length: usize,
    pub draws: Draws<'a>,
    pub device: &'a Device,
}

impl Trainer<'_> {
    /// The gradients of one micro-batch of indices into the pairs.
    ///
    /// # Errors
    /// If the loss is not finite.
    pub fn micro(&self, model: &Gpt2, step: usize, micro: usize, indices: &[u32]) -> Result<Micro> {
        let completions: Vec<(u32, &Completion)> = indices
            .iter()
            .map(|i| (self.pairs[*i as usize].id, &self.completions[*i as usize]))
            .collect();
        let pad_to = (self.config.input.pad == Pad::Max).then_some(self.max_length);
        let batch = collate(&completions, pad_to);
        let targets = NextTokens::masked(&batch.labels, &batch.mask)?;
        let input = DecoderInput::new(model.config(), &batch.ids, batch.seq, self.device)?;
        let objective = LanguageModelObjective {
            label_smoothing: self.config.generation.label_smoothing,
            consistency: self.config.consistency.weight,
            detach: self.config.consistency.detach,
        };
        let draws = &self.draws;
        let mut passes = vec![draws.routes(step, micro, 0, &batch.rows)];
        if objective.wants_second_pass() && draws.differ() {
            passes.push(draws.routes(step, micro, 1, &batch.rows));
        }
        let mut logits = Vec::new();
        for (pass, routes) in passes.iter().enumerate() {
            let pass = draws.pass(step, pass, routes, &batch.rows);
            logits.push(model.logits_at(&input, &targets.places, &pass));
        }
        let mut logits = logits.into_iter();
        let first = logits.next().expect("a step has a pass");
        let loss = objective.step(&targets, first, logits.next());
        differentiate(model, loss, step, batch.rows, passes)
    }
}
