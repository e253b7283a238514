//! Rows of a classification or regression task.

use adamix_core::objective::Targets;
use adamix_core::routing::{Moment, RoutedPass, RoutingPolicy};
use adamix_data::{Encoding, Example, collate, plan_evaluation};
use adamix_keys::Key;
use adamix_models::encoder::SequenceClassifier;
use adamix_models::pass::Pass;
use anyhow::Result;
use burn::tensor::Tensor;

use super::{Answer, Rows, Tally, device_of};
use crate::config::{RegressionFloor, RunConfig};
use crate::recipe::{Base, Predictions, TaskData, input, targets};
use crate::run::Metrics;

/// Rows of a classification or regression task, tokenised.
#[derive(Debug)]
pub struct ClassificationRows<'a> {
    base: &'a Base,
    data: &'a TaskData,
    examples: Vec<Example>,
    encodings: Vec<Encoding>,
    floor: RegressionFloor,
}

impl<'a> ClassificationRows<'a> {
    /// Tokenises rows of the task's data, as a run's config asks.
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn new(
        base: &'a Base,
        data: &'a TaskData,
        config: &RunConfig,
        examples: Vec<Example>,
    ) -> Result<Self> {
        Ok(Self {
            encodings: base.read(config, &data.task, &examples)?,
            floor: config.evaluation.regression_floor,
            base,
            data,
            examples,
        })
    }
}

impl Rows for ClassificationRows<'_> {
    type Model = SequenceClassifier;

    fn count(&self) -> usize {
        self.examples.len()
    }

    fn batches(&self, size: usize) -> Vec<Vec<u32>> {
        let lengths: Vec<u32> = self.encodings.iter().map(|e| e.len() as u32).collect();
        plan_evaluation(&lengths, size)
    }

    fn answer(
        &self,
        model: &SequenceClassifier,
        batch: &[u32],
        policy: Option<&dyn RoutingPolicy>,
    ) -> Result<Answer> {
        let rows: Vec<&Example> = batch.iter().map(|i| &self.examples[*i as usize]).collect();
        let tokens: Vec<(u32, &Encoding)> = batch
            .iter()
            .zip(&rows)
            .map(|(i, row)| (row.id, &self.encodings[*i as usize]))
            .collect();
        let tokens = collate(&tokens, self.base.tokenizer.pad_id, None);
        let input = input(&self.base.config, &tokens, &device_of(model));
        let routed = policy.map(|policy| {
            RoutedPass::new(policy, Moment::draw(Key::new(0), 0), &tokens.rows, false)
        });
        let pass = routed.as_ref().map_or(Pass::EVALUATION, Pass::routed);
        Ok(Answer {
            logits: model.forward(&input, &pass),
            targets: targets(&self.data.task, &rows)?,
        })
    }

    fn count_in(&self, tally: &mut Tally, batch: &[u32], logits: Tensor<2>, targets: &Targets) {
        let width = logits.dims()[1];
        tally.loss +=
            f64::from(targets.loss(logits.clone()).into_scalar::<f32>()) * batch.len() as f64;
        tally.answers += batch.len();
        let data = logits.into_data().convert::<f32>();
        let values: Vec<f32> = data.try_into_vec().expect("f32 values");
        let rows = batch.iter().zip(values.chunks(width));
        tally.logits.extend(rows.map(|(i, row)| (*i, row.to_vec())));
    }

    fn metrics(&self, mut tally: Tally) -> Metrics {
        tally.logits.sort_by_key(|(row, _)| *row);
        let (rows, logits): (Vec<u32>, Vec<Vec<f32>>) = tally.logits.into_iter().unzip();
        let examples: Vec<Example> = rows
            .iter()
            .map(|i| self.examples[*i as usize].clone())
            .collect();
        let predictions = Predictions {
            rows,
            logits,
            doubts: None,
        };
        predictions.score(&self.data.task, &examples, self.floor)
    }

    fn goodness(&self, metrics: &Metrics) -> f64 {
        let value = metrics.get(self.data.task.selection.name()).copied();
        value
            .flatten()
            .filter(|v| !v.is_nan())
            .unwrap_or(f64::NEG_INFINITY)
    }
}
