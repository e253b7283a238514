//! The loss on texts that were not trained on, in any inference mode.

use adamix_core::ensemble::mean_logits;
use adamix_core::merging::MergeRule;
use adamix_core::objective::language_model::{LanguageModelObjective, NextTokens};
use adamix_core::routing::{self, Decision, Inference, Routes, Site, StochasticPerExample};
use adamix_data::nlg::{Completion, Pair, collate};
use adamix_data::plan_evaluation;
use adamix_keys::Key;
use adamix_models::gpt2::{DecoderInput, Gpt2};
use adamix_models::pass::Pass;
use adamix_models::site::Adaptable;
use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;

use crate::run::Metrics;

/// What [`LanguageModelObjective::task_loss`] adds to the number of tokens that it divides by.
const GUARD: f64 = 1e-4;

/// The model that answers in a mode, outside autodiff: merged once, or as it was trained.
pub fn ready(model: &Gpt2, inference: Inference, rule: &dyn MergeRule) -> Result<Gpt2> {
    Ok(match inference {
        Inference::Merged => model.merged(rule)?,
        _ => model.valid(),
    })
}

/// The paths through a model's mixtures in a mode; `rows` are the examples that random inference draws for.
pub fn paths(sites: &[Site], inference: Inference, key: Key, rows: &[u32]) -> Vec<Routes> {
    match inference {
        Inference::Merged | Inference::Fixed => vec![Routes::new()],
        Inference::Random => vec![routing::decide_all(&StochasticPerExample, sites, key, rows)],
        Inference::Ensemble => {
            let experts = sites.iter().map(|s| s.down.max(s.up)).max().unwrap_or(1);
            let path = |expert| {
                let diagonal =
                    |s: &Site| (s.name.clone(), Decision::diagonal(expert, s.down, s.up));
                sites.iter().map(diagonal).collect()
            };
            (0..experts).map(path).collect()
        }
    }
}

/// Texts to take the loss on.
#[derive(Debug)]
pub struct LossOn<'a> {
    /// The pairs.
    pub pairs: &'a [Pair],
    /// Their tokens.
    pub completions: &'a [Completion],
    /// Pairs a batch.
    pub batch_size: usize,
    /// Where to compute, outside autodiff.
    pub device: &'a Device,
}

impl LossOn<'_> {
    /// `loss`, the mean negative log-likelihood of a text's tokens (its end included, no smoothing), and
    /// `perplexity`, its exponential. The model is one that [`ready`] made; `watch` hears of every batch.
    pub fn measure(
        &self,
        model: &Gpt2,
        inference: Inference,
        key: Key,
        watch: &dyn Fn(usize) -> Result<()>,
    ) -> Result<Metrics> {
        let lengths: Vec<u32> = self.completions.iter().map(|c| c.len() as u32).collect();
        let plain = LanguageModelObjective {
            label_smoothing: 0.0,
            consistency: 0.0,
            detach: true,
        };
        let sites = model.sites();
        let (mut sum, mut tokens) = (0.0, 0.0);
        for indices in plan_evaluation(&lengths, self.batch_size) {
            let batch: Vec<(u32, &Completion)> = indices
                .iter()
                .map(|i| (self.pairs[*i as usize].id, &self.completions[*i as usize]))
                .collect();
            let batch = collate(&batch, None);
            let targets = NextTokens::masked(&batch.labels, &batch.mask)?;
            let input = DecoderInput::new(model.config(), &batch.ids, batch.seq, self.device)?;
            let logits = paths(&sites, inference, key, &batch.rows)
                .iter()
                .map(|routes| model.logits_at(&input, &targets.places, &Pass::along(routes)))
                .collect();
            let loss = plain.task_loss(mean_logits(logits), &targets);
            let count = targets.tokens.len() as f64;
            sum += f64::from(loss.into_scalar::<f32>()) * (count + GUARD);
            tokens += count;
            watch(indices.len())?;
        }
        let loss = sum / tokens;
        let finite = |value: f64| Some(value).filter(|v| v.is_finite());
        Ok(Metrics::from([
            ("loss".to_owned(), finite(loss)),
            ("perplexity".to_owned(), finite(loss.exp())),
        ]))
    }
}
