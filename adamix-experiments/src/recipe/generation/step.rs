//! One micro-batch of pairs: passes, loss, gradients.

use adamix_core::objective::language_model::{LanguageModelObjective, NextTokens};
use adamix_core::routing::{Moment, RoutedPass, RoutingPolicy, Site, auxiliary_loss};
use adamix_data::nlg::{Completion, Pair, collate};
use adamix_keys::Key;
use adamix_models::gpt2::{DecoderInput, Gpt2};
use adamix_models::pass::{Below, Pass, PassDropout};
use anyhow::Result;
use burn::tensor::Device;

use super::super::update::{Micro, differentiate};
use crate::config::{Pad, RunConfig};

/// All that a step reads.
#[derive(Debug)]
pub struct Trainer<'a> {
    pub config: &'a RunConfig,
    pub pairs: &'a [Pair],
    pub completions: &'a [Completion],
    pub max_length: usize,
    pub policy: &'a dyn RoutingPolicy,
    pub sites: Vec<Site>,
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
        let input = DecoderInput::new(model.config(), &batch.ids, batch.seq, self.device)?
            .with_lengths(&batch.lengths);
        let objective = LanguageModelObjective {
            label_smoothing: self.config.generation.label_smoothing,
            consistency: self.config.consistency.weight,
            detach: self.config.consistency.detach,
            passes: self.config.consistency.task_loss,
        };
        let two = objective.wants_second_pass() && self.config.passes_differ(&self.sites);
        let key = Key::new(self.config.seed);
        let (mut logits, mut passes) = (Vec::new(), Vec::new());
        let below = Below::default();
        for pass in 0..if two { 2 } else { 1 } {
            let moment = Moment {
                root: key.purpose("routing"),
                step: step as u64,
                micro: micro as u64,
                pass: pass as u64,
            };
            let routed = RoutedPass::new(self.policy, moment, &batch.rows, true);
            // Every place knows its own rate.
            let dropout = Some(PassDropout {
                key: key.purpose("dropout").fold(step as u64).fold(pass as u64),
                examples: &batch.rows,
            });
            let with = Pass {
                dropout,
                below: Some(&below),
                ..Pass::routed(&routed)
            };
            logits.push(model.logits_at(&input, &targets.places, &with));
            passes.push(routed.into_routes());
        }
        let mut logits = logits.into_iter();
        let first = logits.next().expect("a step has a pass");
        let loss = objective.step(&targets, first, logits.next());
        let loss = loss.with_auxiliary(passes.iter().map(auxiliary_loss));
        differentiate(model, loss, step, batch.rows, passes)
    }
}
