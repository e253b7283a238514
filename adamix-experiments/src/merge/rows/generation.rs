//! Pairs of an input and a text, whose tokens are predicted.

use adamix_core::objective::Targets;
use adamix_core::objective::language_model::NextTokens;
use adamix_core::routing::{Moment, RoutedPass, RoutingPolicy};
use adamix_data::nlg::{Completion, Pair, collate, encode};
use adamix_data::plan_evaluation;
use adamix_keys::Key;
use adamix_models::gpt2::{DecoderInput, Gpt2};
use adamix_models::pass::Pass;
use anyhow::Result;
use burn::tensor::Tensor;

use super::{Answer, Rows, Tally, device_of};
use crate::recipe::generation::DecoderBase;
use crate::run::Metrics;

/// Pairs of an input and a text, tokenised. Every token of a text is an answer.
#[derive(Debug)]
pub struct GenerationRows {
    pairs: Vec<Pair>,
    completions: Vec<Completion>,
}

impl GenerationRows {
    /// Tokenises pairs.
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn new(base: &DecoderBase, pairs: Vec<Pair>, max_length: usize) -> Result<Self> {
        Ok(Self {
            completions: encode(&base.tokenizer, &pairs, max_length)?,
            pairs,
        })
    }
}

impl Rows for GenerationRows {
    type Model = Gpt2;

    fn count(&self) -> usize {
        self.pairs.len()
    }

    fn batches(&self, size: usize) -> Vec<Vec<u32>> {
        let lengths: Vec<u32> = self.completions.iter().map(|c| c.len() as u32).collect();
        plan_evaluation(&lengths, size)
    }

    fn answer(
        &self,
        model: &Gpt2,
        batch: &[u32],
        policy: Option<&dyn RoutingPolicy>,
    ) -> Result<Answer> {
        let rows: Vec<(u32, &Completion)> = batch
            .iter()
            .map(|i| (self.pairs[*i as usize].id, &self.completions[*i as usize]))
            .collect();
        let batch = collate(&rows, None);
        let targets = NextTokens::masked(&batch.labels, &batch.mask)?;
        let input = DecoderInput::new(model.config(), &batch.ids, batch.seq, &device_of(model))?
            .with_lengths(&batch.lengths);
        let routed = policy.map(|policy| {
            RoutedPass::new(policy, Moment::draw(Key::new(0), 0), &batch.rows, false)
        });
        let pass = routed.as_ref().map_or(Pass::EVALUATION, Pass::routed);
        Ok(Answer {
            logits: model.logits_at(&input, &targets.places, &pass),
            targets: Targets::Classes(targets.tokens),
        })
    }

    fn count_in(&self, tally: &mut Tally, _batch: &[u32], logits: Tensor<2>, targets: &Targets) {
        let answers = logits.dims()[0];
        tally.loss += f64::from(targets.loss(logits).into_scalar::<f32>()) * answers as f64;
        tally.answers += answers;
    }

    fn metrics(&self, tally: Tally) -> Metrics {
        let loss = tally.loss / tally.answers as f64;
        let finite = |value: f64| Some(value).filter(|v| v.is_finite());
        Metrics::from([
            ("loss".to_owned(), finite(loss)),
            ("perplexity".to_owned(), finite(loss.exp())),
        ])
    }

    fn goodness(&self, metrics: &Metrics) -> f64 {
        let loss = metrics.get("loss").copied().flatten();
        loss.map_or(f64::NEG_INFINITY, |loss| -loss)
    }
}
