//! Which rows a step reads, and what it asks about them.

use std::ops::{Range, RangeInclusive};

use adamix_keys::Key;

use super::batch::Batch;
use super::config::PretrainConfig;
use super::corpus::Rows;
use super::vocabulary::Vocabulary;

/// The order of all batches: a function of the config and the rows.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    pub config: &'a PretrainConfig,
    pub vocabulary: &'a Vocabulary,
    pub rows: &'a Rows,
    /// The rows to train on.
    pub train: &'a [u32],
}

impl Plan<'_> {
    /// The rows that steps (from 1) read: pass after pass over the corpus, each in its own order.
    pub(super) fn rows(&self, steps: RangeInclusive<usize>) -> Vec<Vec<u32>> {
        let key = Key::new(self.config.seed).purpose("order");
        let mut order: Option<(usize, Vec<u32>)> = None;
        let mut row = |i: usize| {
            let (pass, place) = (i / self.train.len(), i % self.train.len());
            if order.as_ref().is_none_or(|(known, _)| *known != pass) {
                let permutation = key.fold(pass as u64).permutation(self.train.len());
                order = Some((pass, permutation));
            }
            let (_, order) = order.as_ref().expect("just filled");
            self.train[order[place] as usize]
        };
        steps
            .map(|step| self.places(step).map(&mut row).collect())
            .collect()
    }

    /// What a step asks about its rows; each pass over the corpus has its own masks.
    pub(super) fn batch(&self, step: usize, rows: &[u32]) -> Batch {
        let key = Key::new(self.config.seed).purpose("masking");
        let mut batch = Batch::default();
        for (i, row) in self.places(step).zip(rows) {
            let pass = i / self.train.len();
            let key = key.fold(pass as u64).fold(u64::from(*row));
            let masking = self.config.masking;
            (self.vocabulary).ask(&mut batch, self.rows.row(*row), masking, key);
        }
        batch
    }

    /// The places of a step's rows in the sequence of all.
    fn places(&self, step: usize) -> Range<usize> {
        let size = self.config.training.batch_size;
        (step - 1) * size..step * size
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::pretrain::objective::Objective;
    use crate::pretrain::tests::{tiny, tiny_causal, vocabulary};

    #[test]
    fn an_epoch_reads_every_row_once() {
        for config in [tiny(Path::new("none")), tiny_causal(Path::new("none"))] {
            let vocabulary = vocabulary(config.objective);
            let text: Vec<u32> = (0..16 * 8).map(|i| 10 + i).collect();
            let rows = Rows::pack(&[vec![text]], 16, &vocabulary.framing);
            let train: Vec<u32> = (0..8).collect();
            let plan = Plan {
                config: &config,
                vocabulary: &vocabulary,
                rows: &rows,
                train: &train,
            };
            let restored = |batch: &Batch| {
                let mut ids = batch.ids.clone();
                if config.objective == Objective::Masked {
                    for (place, label) in batch.places.iter().zip(&batch.labels) {
                        ids[*place as usize] = *label;
                    }
                }
                ids
            };
            let steps = plan.rows(1..=4);
            let batch = |(i, rows): (usize, &Vec<u32>)| plan.batch(i + 1, rows);
            let batches: Vec<Batch> = steps.iter().enumerate().map(batch).collect();
            let epoch = |of: &[Batch]| {
                let mut ids: Vec<u32> = of.iter().flat_map(restored).collect();
                ids.sort_unstable();
                ids
            };
            // Each of the eight rows, in the numbers of the plan.
            for steps in [&steps[..2], &steps[2..]] {
                let mut read: Vec<u32> = steps.concat();
                read.sort_unstable();
                assert_eq!(read, train);
            }
            assert_eq!(epoch(&batches[..2]), epoch(&batches[2..]));
            assert_ne!(batches[..2], batches[2..], "another order, other masks");
            // A plan that starts in the middle gives the same.
            assert_eq!(plan.rows(3..=3)[0], steps[2]);
        }
    }
}
