//! Labelled rows that models answer: what rules gather from, and what a merged model is measured on.

mod classification;
mod generation;

pub use classification::ClassificationRows;
pub use generation::GenerationRows;

use adamix_core::objective::Targets;
use adamix_core::routing::RoutingPolicy;
use adamix_keys::Key;
use adamix_models::site::Adaptable;
use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::run::Metrics;

/// What a model says to a batch, and what was right: one row of logits an example, or a token to be predicted.
#[derive(Debug)]
pub struct Answer {
    /// `[rows, outputs]`.
    pub logits: Tensor<2>,
    /// One target a row.
    pub targets: Targets,
}

/// What is kept of a model's answers until all are there.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By row, where the metrics need them.
    pub logits: Vec<(u32, Vec<f32>)>,
    /// Summed over answers.
    pub loss: f64,
    /// How many answers there were.
    pub answers: usize,
}

/// Labelled rows of a task.
pub trait Rows {
    /// What answers.
    type Model: Adaptable;

    /// The number of rows.
    fn count(&self) -> usize;

    /// All rows once, in batches of at most `size` indices, rows of like length together.
    fn batches(&self, size: usize) -> Vec<Vec<u32>>;

    /// What a model answers to a batch: along its single modules, or as a policy decides.
    ///
    /// # Errors
    /// If a row lacks what is asked for.
    fn answer(
        &self,
        model: &Self::Model,
        batch: &[u32],
        policy: Option<&dyn RoutingPolicy>,
    ) -> Result<Answer>;

    /// Takes in the answers to a batch.
    fn count_in(&self, tally: &mut Tally, batch: &[u32], logits: Tensor<2>, targets: &Targets);

    /// The scores of answers to all rows.
    fn metrics(&self, tally: Tally) -> Metrics;

    /// The number by which scores are compared; more is better.
    fn goodness(&self, metrics: &Metrics) -> f64;

    /// The scores of a model with one module a site.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    fn score(&self, model: &Self::Model, batch_size: usize) -> Result<Metrics> {
        let mut tally = Tally::default();
        for batch in self.batches(batch_size) {
            let answer = self.answer(model, &batch, None)?;
            self.count_in(&mut tally, &batch, answer.logits, &answer.targets);
        }
        Ok(self.metrics(tally))
    }
}

/// Where a model's parameters are.
fn device_of(model: &impl Module) -> Device {
    let devices = model.devices();
    devices.into_iter().next().expect("a model has parameters")
}

/// Which of `count` rows a part of at most `most` consists of, in their order: a draw from a key, so that every
/// call on the same rows takes the same. 0 takes all.
pub fn part(count: usize, most: usize, key: Key) -> Vec<usize> {
    let order = key.permutation(count);
    let most = if most == 0 { count } else { most };
    let mut chosen: Vec<usize> = order.into_iter().take(most).map(|i| i as usize).collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_function_of_its_key() {
        let key = Key::new(0).purpose("part");
        let found = part(100, 10, key);
        assert_eq!((found.len(), found.clone()), (10, part(100, 10, key)));
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        assert_ne!(found, part(100, 10, key.fold(1)));
        assert_eq!(part(5, 0, key), [0, 1, 2, 3, 4]);
        assert_eq!(part(5, 9, key).len(), 5);
    }
}
