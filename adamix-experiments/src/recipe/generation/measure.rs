//! The loss on texts that were not trained on, in any inference mode.

use adamix_core::objective::TaskLoss;
use adamix_core::objective::language_model::{GUARD, LanguageModelObjective, NextTokens};
use adamix_data::nlg::{Completion, Pair, collate};
use adamix_data::plan_evaluation;
use adamix_models::gpt2::{DecoderInput, Gpt2};
use adamix_models::pass::Pass;
use anyhow::Result;
use burn::tensor::Device;

use super::super::mode::Mode;
use crate::run::Metrics;

/// The names of what is measured.
pub const METRICS: [&str; 2] = ["loss", "perplexity"];

/// Texts to take the loss on.
#[derive(Debug)]
pub struct LossOn<'a> {
    /// The pairs.
    pub pairs: &'a [Pair],
    /// Their tokens.
    pub completions: &'a [Completion],
    /// Where to compute, outside autodiff.
    pub device: &'a Device,
}

impl LossOn<'_> {
    /// `loss`, the mean negative log-likelihood of a text's tokens (its end included, no smoothing), and
    /// `perplexity`, its exponential. `model` is ready for the mode; `watch` hears of every batch.
    pub fn measure(
        &self,
        model: &Gpt2,
        mode: &Mode<'_>,
        watch: &dyn Fn(usize) -> Result<()>,
    ) -> Result<Metrics> {
        let lengths: Vec<u32> = self.completions.iter().map(|c| c.len() as u32).collect();
        let plain = LanguageModelObjective {
            label_smoothing: 0.0,
            consistency: 0.0,
            detach: true,
            passes: TaskLoss::First,
        };
        let paths = mode.paths(model);
        let (mut sum, mut tokens) = (0.0, 0.0);
        for indices in plan_evaluation(&lengths, mode.batch_size) {
            let batch: Vec<(u32, &Completion)> = indices
                .iter()
                .map(|i| (self.pairs[*i as usize].id, &self.completions[*i as usize]))
                .collect();
            let batch = collate(&batch, None);
            let targets = NextTokens::masked(&batch.labels, &batch.mask)?;
            let input = DecoderInput::new(model.config(), &batch.ids, batch.seq, self.device)?;
            let logits = paths.iter().map(|path| {
                let routed = path.pass(&batch.rows);
                model.logits_at(&input, &targets.places, &Pass::routed(&routed))
            });
            let logits = mode.inference.combined(logits.collect());
            let loss = plain.task_loss(logits, &targets);
            let count = targets.tokens.len() as f64;
            sum += f64::from(loss.into_scalar::<f32>()) * (count + GUARD);
            tokens += count;
            watch(indices.len())?;
        }
        let loss = sum / tokens;
        let finite = |value: f64| Some(value).filter(|v| v.is_finite());
        let values = [finite(loss), finite(loss.exp())];
        let named = METRICS.into_iter().zip(values);
        Ok(named
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }
}
