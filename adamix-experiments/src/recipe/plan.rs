//! What the steps of a run read, and at what rate.

use adamix_data::{fill_batches, plan_epoch};
use adamix_keys::Key;

use super::data::number_of_steps;
use super::driver::Micros;
use super::schedule::learning_rate;
use crate::config::{LastBatch, RunConfig};

/// The course of a run over rows of known lengths.
#[derive(Debug)]
pub struct Plan<'a> {
    config: &'a RunConfig,
    lengths: Vec<u32>,
}

impl<'a> Plan<'a> {
    /// The plan of a config for training rows of these lengths, in tokens.
    pub fn new(config: &'a RunConfig, lengths: Vec<u32>) -> Self {
        Self { config, lengths }
    }

    /// Passes over the rows.
    pub fn epochs(&self) -> usize {
        self.config.schedule.epochs
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> usize {
        number_of_steps(&self.config.schedule, self.lengths.len())
    }

    /// What the steps of an epoch (from 1) read, in order.
    pub fn epoch(&self, epoch: usize) -> Vec<Micros> {
        let schedule = &self.config.schedule;
        let key = Key::new(self.config.seed)
            .purpose("data")
            .fold(epoch as u64);
        let order = self.config.input.epoch_order();
        let mut batches = plan_epoch(&self.lengths, schedule.batch_size, order, key);
        if self.config.input.last_batch == LastBatch::Repeat {
            fill_batches(&mut batches, schedule.batch_size, self.lengths.len(), key);
        }
        batches
            .chunks(schedule.accumulation)
            .map(<[_]>::to_vec)
            .collect()
    }

    /// The learning rate of a step (from 1).
    pub fn rate(&self, step: usize) -> f64 {
        let peak = self.config.optimizer.learning_rate;
        learning_rate(&self.config.schedule, peak, step, self.steps())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    fn config(settings: &[&str]) -> RunConfig {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        read(None, &settings).unwrap()
    }

    #[test]
    fn each_epoch_has_all_rows_in_an_order_of_its_own() {
        let config = config(&["schedule.batch_size=4", "schedule.accumulation=2"]);
        let plan = Plan::new(&config, (0..22).map(|i| 5 + i % 7).collect());
        let rows = |epoch| plan.epoch(epoch).concat().concat();
        let (first, second) = (rows(1), rows(2));
        assert_ne!(first, second);
        assert_eq!(first, rows(1));
        for mut rows in [first, second] {
            rows.sort_unstable();
            assert!(rows.into_iter().eq(0..22));
        }
        // Six batches, two a step.
        assert_eq!(plan.epoch(1).len(), 3);
        assert_eq!(plan.steps(), 3 * config.schedule.epochs);
    }

    #[test]
    fn a_short_last_batch_is_filled_where_asked() {
        for (last, sizes) in [("short", 22), ("repeat", 24)] {
            let last = format!("input.last_batch={last}");
            let config = config(&["schedule.batch_size=4", &last]);
            let plan = Plan::new(&config, vec![9; 22]);
            assert_eq!(plan.epoch(1).concat().concat().len(), sizes, "{last}");
        }
    }
}
