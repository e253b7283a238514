//! The loss on texts that were not trained on, in any inference mode.

use adamix_core::ensemble::mean_logits;
use adamix_core::merging::MergeRule;
use adamix_core::objective::TaskLoss;
use adamix_core::objective::language_model::{LanguageModelObjective, NextTokens};
use adamix_core::routing::{
    Decision, Inference, Moment, RoutedPass, Routes, Site, StochasticPerExample,
};
use adamix_data::nlg::{Completion, Pair, collate};
use adamix_data::plan_evaluation;
use adamix_keys::Key;
use adamix_models::gpt2::{DecoderInput, Gpt2};
use adamix_models::pass::Pass;
use adamix_models::site::Adaptable;
use anyhow::{Result, bail};
use burn::module::Module;
use burn::tensor::Device;

use crate::run::Metrics;

/// What [`LanguageModelObjective::task_loss`] adds to the number of tokens that it divides by.
const GUARD: f64 = 1e-4;

/// The model that answers in a mode, outside autodiff: merged once, or as it was trained.
///
/// # Errors
/// If the rule cannot merge the model, or decoders do not run in that mode.
pub fn ready(model: &Gpt2, inference: Inference, rule: &dyn MergeRule) -> Result<Gpt2> {
    match inference {
        Inference::Merged => Ok(model.merged(rule)?),
        Inference::Random | Inference::Fixed | Inference::Ensemble => Ok(model.valid()),
        Inference::Routed | Inference::RandomEnsemble | Inference::MonteCarlo => bail!(
            "decoders are measured merged, random, fixed or as an ensemble, not as {inference:?}; set evaluation.inference"
        ),
    }
}

/// The paths through a model's mixtures that answer for a whole batch; with random inference one whose experts
/// come from `key`, for each site and side.
pub fn paths(sites: &[Site], inference: Inference, key: Key) -> Vec<Routes> {
    let path = |decide: &dyn Fn(&Site) -> Decision| -> Routes {
        sites.iter().map(|s| (s.name.clone(), decide(s))).collect()
    };
    match inference {
        Inference::Random => {
            let draw = |site: &Site| {
                let key = key.purpose(&site.name);
                Decision::one(key.fold(0).below(site.down), key.fold(1).below(site.up))
            };
            vec![path(&draw)]
        }
        Inference::Ensemble => {
            let experts = sites.iter().map(|s| s.down.max(s.up)).max().unwrap_or(1);
            let diagonal =
                |expert| path(&|site: &Site| Decision::diagonal(expert, site.down, site.up));
            (0..experts).map(diagonal).collect()
        }
        _ => vec![Routes::new()],
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
            passes: TaskLoss::First,
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
            let run = |pass: &Pass<'_>| model.logits_at(&input, &targets.places, pass);
            let logits = match inference {
                Inference::Random => {
                    let policy = StochasticPerExample {};
                    let moment = Moment::draw(key, 0);
                    let routed = RoutedPass::new(&policy, moment, &batch.rows, false);
                    vec![run(&Pass::routed(&routed))]
                }
                _ => paths(&sites, inference, key)
                    .iter()
                    .map(|routes| run(&Pass::along(routes)))
                    .collect(),
            };
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
