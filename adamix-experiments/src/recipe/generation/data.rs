//! A data set's splits, as the run uses them.

use adamix_data::nlg::{Group, Pair, group};
use adamix_data::{Split, nlg::Corpus};
use adamix_keys::Key;
use anyhow::{Result, ensure};

use crate::config::{RunConfig, TrainSplit};

/// The splits that a run needs.
#[derive(Clone, Debug)]
pub struct GenerationData {
    /// The data set.
    pub corpus: Corpus,
    /// Pairs to train on.
    pub train: Vec<Pair>,
    /// Pairs of the training split that are kept from training for merging rules.
    pub kept: Vec<Pair>,
    /// Pairs to take the loss on.
    pub dev: Vec<Pair>,
    /// Inputs to generate for, with their references.
    pub test: Vec<Group>,
    /// Hash of all files.
    pub hash: String,
}

impl GenerationData {
    /// Reads the data set of a config.
    pub fn load(config: &RunConfig, corpus: Corpus) -> Result<Self> {
        let folder = config.data_folder()?;
        ensure!(
            !folder.as_os_str().is_empty(),
            "`data` is not set: give the folder of {}'s files",
            corpus.name()
        );
        let generation = &config.generation;
        let dev = corpus.load(&folder, Split::Dev)?;
        let test = corpus.load(&folder, Split::Test)?;
        let mut hashes = vec![dev.hash, test.hash];
        let (mut dev, rows) = (dev.pairs, config.input.train_rows);
        let mut train = match generation.train_split {
            TrainSplit::Train => {
                let train = corpus.load(&folder, Split::Train)?;
                hashes.insert(0, train.hash);
                train.pairs
            }
            TrainSplit::Dev => {
                ensure!(
                    rows > 0 && rows < dev.len(),
                    "`input.train_rows` is {rows}: with `generation.train_split = \"dev\"` it must be between 1 \
                     and {}, which leaves rows to measure on",
                    dev.len() - 1
                );
                let held = dev.split_off(rows);
                std::mem::replace(&mut dev, held)
            }
        };
        if rows > 0 {
            train.truncate(rows);
        }
        if generation.dev_rows > 0 {
            dev.truncate(generation.dev_rows);
        }
        train.retain(|pair| pair.text.is_some());
        dev.retain(|pair| pair.text.is_some());
        let mut kept = Vec::new();
        if config.input.kept_for_merging > 0.0 {
            // All texts of an input go together.
            let key = Key::new(0).purpose("rows for merging");
            let is_kept =
                |p: &Pair| key.purpose(&p.context).uniform() < config.input.kept_for_merging;
            (kept, train) = train.into_iter().partition(is_kept);
        }
        ensure!(
            !train.is_empty(),
            "{} has no texts to train on",
            corpus.name()
        );
        ensure!(
            !dev.is_empty(),
            "{} has no texts to measure on",
            corpus.name()
        );
        let mut test = group(&test.pairs);
        if generation.test_inputs > 0 {
            test.truncate(generation.test_inputs);
        }
        Ok(Self {
            corpus,
            train,
            kept,
            dev,
            test,
            hash: hashes.join("+"),
        })
    }

    /// One of its parts, for messages.
    pub(super) fn named(&self, part: &str) -> String {
        format!("{}, {part} texts", self.corpus.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::read;

    #[test]
    fn all_texts_of_an_input_are_kept_for_merging_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let row = |i: usize| {
            format!(
                "\"name[N{}], eatType[pub]\",\"N{} is a pub, {i}.\"\n",
                i % 30,
                i % 30
            )
        };
        let rows: String = (0..120).map(row).collect();
        for name in ["trainset.csv", "devset.csv", "testset_w_refs.csv"] {
            std::fs::write(folder.path().join(name), format!("mr,ref\n{rows}")).unwrap();
        }
        let load = |seed: u64| {
            let data = format!("data={}", folder.path().display());
            let settings = [
                "task=e2e".to_owned(),
                data,
                format!("seed={seed}"),
                "input.kept_for_merging=0.5".to_owned(),
            ];
            let data = GenerationData::load(&read(None, &settings).unwrap(), Corpus::E2e).unwrap();
            let contexts = |pairs: &[Pair]| {
                pairs
                    .iter()
                    .map(|p| p.context.clone())
                    .collect::<BTreeSet<_>>()
            };
            assert_eq!(data.train.len() + data.kept.len(), 120);
            (contexts(&data.train), contexts(&data.kept))
        };
        let (train, kept) = load(1);
        assert!(train.is_disjoint(&kept) && !train.is_empty() && !kept.is_empty());
        assert_eq!(load(2), (train, kept));
    }
}
