//! Which rows a step reads, and what it asks about them.

use std::ops::{Range, RangeInclusive};

use adamix_keys::Key;

use super::config::{Masking, PretrainConfig};
use super::corpus::Rows;
use super::masking::Masker;
use super::vocabulary::Vocabulary;

/// Rows of one length with the tokens to be predicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// What the model sees, row after row.
    pub ids: Vec<u32>,
    /// Where it is asked: indices into `ids`, ascending.
    pub places: Vec<i32>,
    /// The answers: what is hidden there, or what comes next.
    pub labels: Vec<u32>,
}

impl Batch {
    /// Adds a row: with hidden tokens for a masked objective (drawn from `key`), else to be continued from
    /// each of its tokens but the last.
    pub(super) fn push(
        &mut self,
        row: &[u32],
        vocabulary: &Vocabulary,
        masking: Option<Masking>,
        key: Key,
    ) {
        if let (Some(masking), Some(mask)) = (masking, vocabulary.tokenizer.mask_id) {
            let ordinary = &vocabulary.predicted;
            let masker = Masker {
                masking,
                mask,
                ordinary,
            };
            return masker.push(self, row, key);
        }
        let start = self.ids.len();
        self.ids.extend_from_slice(row);
        self.places
            .extend((start..self.ids.len() - 1).map(|place| place as i32));
        self.labels.extend_from_slice(&row[1..]);
    }
}

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
            batch.push(self.rows.row(*row), self.vocabulary, masking, key);
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
    use crate::pretrain::config::Objective;
    use crate::pretrain::tests::{text, tiny, tiny_causal};
    use crate::pretrain::tokenizer;

    fn vocabulary(objective: Objective) -> Vocabulary {
        let folder = tempfile::tempdir().unwrap();
        tokenizer::train(folder.path(), objective, &text(40), 300, 16).unwrap();
        Vocabulary::open(folder.path(), objective).unwrap()
    }

    #[test]
    fn a_causal_row_is_asked_what_comes_next() {
        let vocabulary = vocabulary(Objective::Causal);
        let mut batch = Batch::default();
        for row in [[7, 8, 9], [4, 5, 6]] {
            batch.push(&row, &vocabulary, None, Key::new(1));
        }
        assert_eq!(batch.ids, [7, 8, 9, 4, 5, 6]);
        assert_eq!(batch.places, [0, 1, 3, 4]);
        assert_eq!(batch.labels, [8, 9, 5, 6]);
    }

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
            assert_eq!(epoch(&batches[..2]), epoch(&batches[2..]));
            assert_ne!(batches[..2], batches[2..], "another order, other masks");
            // A plan that starts in the middle gives the same.
            assert_eq!(plan.rows(3..=3)[0], steps[2]);
        }
    }
}
