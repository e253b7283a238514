//! Records as the cells of tables.

use std::collections::BTreeMap;

use adamix_data::{Task, fewshot, synthetic};
use adamix_keys::Key;
use anyhow::Result;

use super::columns::Column;
use super::profile::Profile;
use super::scored::Scored;
use super::want::{Mode, Want};
use crate::report::record::{DrawRecord, Outputs, Rule};
use crate::report::{Cell, Gold, Measured, Record, Records};
use crate::statistics::bootstrap::REPLICATES;
use crate::statistics::{Comparison, Summary, bootstrap};

/// A profile and what was recorded under it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The records.
    pub records: &'a Records,
}

/// How a trained model is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As its run measured it.
    Own,
    /// In another mode of inference.
    In(Mode),
    /// In another mode, the draw of it that the run's own measure of choice has best.
    BestOf(Mode),
}

impl<'a> View<'a> {
    /// Which epoch an exhibit shows.
    pub fn rule(&self, exhibit: &str) -> Rule {
        self.profile.rule_of(exhibit)
    }

    /// How many seeds a want has: those of the profile, and what was recorded beyond them.
    pub fn planned(&self, want: &Want) -> Result<u64> {
        let mut seeds = self.profile.seeds(want.place());
        loop {
            // Where a seed is a split, there may be no further one.
            let next = self.profile.config(want.place(), seeds + 1);
            if next.map_or(true, |next| self.records.of(&next).is_none()) {
                return Ok(seeds);
            }
            seeds += 1;
        }
    }

    /// The records of a want, in the order of seeds.
    pub fn records_of(&self, want: &Want) -> Result<Vec<&'a Record>> {
        let mut found = Vec::new();
        for seed in 1..=self.planned(want)? {
            let config = self.profile.config(want.place(), seed)?;
            found.extend(self.records.of(&config));
        }
        Ok(found)
    }

    /// Whether nobody searched for a want's learning rate, and no source has it.
    pub fn rate_is_assumed(&self, want: &Want) -> Result<bool> {
        let settings = self.profile.settings(want.place(), 1)?;
        let source = settings.sources.get("optimizer.learning_rate");
        Ok(source.is_some_and(|source| source.starts_with("assumed")))
    }

    /// The names of the folders of the base models of wants, each once.
    pub fn models(&self, wants: &[Want]) -> Result<Vec<String>> {
        let mut models: Vec<String> = Vec::new();
        for want in wants {
            let model = self.profile.config(want.place(), 1)?.model;
            let name = model.rsplit('/').next().unwrap_or_default().to_owned();
            if !models.contains(&name) {
                models.push(name);
            }
        }
        Ok(models)
    }

    /// The answers of a record, where its outputs are not texts.
    pub fn gold(&self, record: &Record) -> Option<&'a Gold> {
        self.records.gold(record)
    }

    /// A cell: the mean over seeds with its intervals, or that it was not run.
    pub fn cell(&self, want: &Want, column: &Column, reading: Reading) -> Result<Cell> {
        let records: Vec<&Record> = self
            .records_of(want)?
            .into_iter()
            .filter(|record| reading.is_there(record, self.rule(&want.exhibit)))
            .collect();
        let rule = self.rule(&want.exhibit);
        let scale = f64::from(column.scale);
        let scores: Vec<f64> = records
            .iter()
            .filter_map(|record| reading.score(record, rule, &column.metric))
            .map(|score| score * scale)
            .collect();
        let Some(summary) = Summary::of(&scores) else {
            return Ok(Cell::NotRun);
        };
        let key = key_of(Key::new(0), &records, reading).purpose(&column.metric);
        let resampled = match Scored::of(self, &records, reading, rule)? {
            Some(scored) => {
                let score = |run: usize, rows: &[usize]| scored.score(run, rows, &column.metric);
                bootstrap(records.len(), scored.examples(), REPLICATES, key, score)
            }
            None => None,
        };
        let mut interval = resampled.map(|b| b.interval);
        if let Some(interval) = &mut interval {
            interval.low *= scale;
            interval.high *= scale;
        }
        let other = match rule {
            Rule::Best => Rule::Last,
            Rule::Last => Rule::Best,
        };
        let others: Vec<f64> = records
            .iter()
            .filter(|_| reading == Reading::Own)
            .filter_map(|record| reading.score(record, other, &column.metric))
            .collect();
        Ok(Cell::Measured(Measured {
            summary,
            bootstrap: interval,
            other: Summary::of(&others).map(|s| (other.name(), s.mean * scale)),
            digits: column.digits,
            runs: records.iter().map(|record| record.id.clone()).collect(),
            planned: self.planned(want)? as usize,
        }))
    }

    /// What a want trains: the adaptation as served, and what moves of the base; the head is not counted.
    pub fn parameters(&self, want: &Want) -> Result<Cell> {
        let records = self.records_of(want)?;
        let Some(record) = records.first() else {
            return Ok(Cell::NotRun);
        };
        Ok(
            match record.parameters.merged + record.parameters.unfrozen {
                0 => Cell::Text("head only".to_owned()),
                tuned => Cell::Count(tuned),
            },
        )
    }

    /// The records of two wants that are of one seed and measured on the same examples.
    pub fn pairs(
        &self,
        first: (&Want, Reading),
        second: (&Want, Reading),
    ) -> Result<Vec<(&'a Record, &'a Record)>> {
        let by_seed = |(want, reading): (&Want, Reading)| -> Result<BTreeMap<u64, &'a Record>> {
            let records = self.records_of(want)?.into_iter();
            let rule = self.rule(&want.exhibit);
            let there = records.filter(|record| reading.is_there(record, rule));
            Ok(there.map(|record| (record.seed(), record)).collect())
        };
        let (left, right) = (by_seed(first)?, by_seed(second)?);
        Ok(left
            .iter()
            .filter_map(|(seed, record)| Some((*record, *right.get(seed)?)))
            .filter(|(a, b)| a.gold == b.gold && a.data_hash == b.data_hash)
            .collect())
    }

    /// The first want less the second, on the seeds and examples that both have; none without a common seed.
    pub fn compare(
        &self,
        first: (&Want, Reading),
        second: (&Want, Reading),
        metric: &str,
    ) -> Result<Option<Compared>> {
        let (left, right): (Vec<_>, Vec<_>) = self.pairs(first, second)?.into_iter().unzip();
        let (Some(a), Some(b)) = (
            Scored::of(self, &left, first.1, self.rule(&first.0.exhibit))?,
            Scored::of(self, &right, second.1, self.rule(&second.0.exhibit))?,
        ) else {
            return Ok(None);
        };
        let key = key_of(Key::new(0).purpose("comparison"), &left, first.1);
        let key = key_of(key, &right, second.1).purpose(metric);
        let score = |side: usize, run: usize, rows: &[usize]| {
            let scored = if side == 0 { &a } else { &b };
            scored.score(run, rows, metric)
        };
        let swapped = |run: usize, swap: &[bool]| a.swapped(&b, run, swap, metric);
        let found = Comparison::new(a.runs(), a.examples(), key, score, swapped);
        let ids = |records: &[&Record]| records.iter().map(|record| record.id.clone()).collect();
        Ok(found.map(|comparison| Compared {
            comparison,
            runs: [ids(&left), ids(&right)],
        }))
    }
}

/// A comparison, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What was found.
    pub comparison: Comparison,
    /// The runs of either side, seed by seed.
    pub runs: [Vec<String>; 2],
}

/// What is drawn for some runs depends on them alone, not on the page that shows them.
fn key_of(key: Key, records: &[&Record], reading: Reading) -> Key {
    let key = key.purpose(&reading.name());
    (records.iter()).fold(key, |key, record| key.purpose(&record.id))
}

impl Reading {
    fn name(self) -> String {
        match self {
            Self::Own => "own".to_owned(),
            Self::In(mode) => mode.name().to_owned(),
            Self::BestOf(mode) => format!("best of {}", mode.name()),
        }
    }

    /// Whether a record has it.
    fn is_there(self, record: &Record, rule: Rule) -> bool {
        match self {
            Self::Own => true,
            Self::In(mode) | Self::BestOf(mode) => record.measured_in(mode.name(), rule),
        }
    }

    /// The draws of a mode that count.
    fn draws(self, record: &Record, rule: Rule) -> Vec<&DrawRecord> {
        let (Self::In(mode) | Self::BestOf(mode)) = self else {
            return Vec::new();
        };
        let found = record.modes.get(mode.name());
        let draws = found.filter(|found| found.state == rule);
        let draws = draws.map_or(&[][..], |found| &found.draws[..]).iter();
        if let Self::In(_) = self {
            return draws.collect();
        }
        let chosen = |draw: &&DrawRecord| {
            let score = draw.metrics.get(&record.selection).copied().flatten();
            score.unwrap_or(f64::NEG_INFINITY)
        };
        // The first of equals.
        let best = draws.rev().max_by(|a, b| chosen(a).total_cmp(&chosen(b)));
        best.into_iter().collect()
    }

    /// A record's score: of its state, or the mean over the draws of a mode.
    pub fn score(self, record: &Record, rule: Rule, metric: &str) -> Option<f64> {
        if self == Self::Own {
            return record.state(rule).metrics.get(metric).copied().flatten();
        }
        let draws = self.draws(record, rule).into_iter();
        let scores: Option<Vec<f64>> = draws
            .map(|draw| draw.metrics.get(metric).copied().flatten())
            .collect();
        Some(Summary::of(&scores?)?.mean)
    }

    /// A record's outputs: of its state, or those of each draw of a mode.
    pub(super) fn outputs(self, record: &Record, rule: Rule) -> Vec<&Outputs> {
        if self == Self::Own {
            return record.outputs(rule).into_iter().collect();
        }
        let draws = self.draws(record, rule).into_iter();
        draws.map(|draw| &draw.outputs).collect()
    }
}

/// A task by its name in records.
pub fn task_named(name: &str) -> Result<&'static Task> {
    static SYNTHETIC: std::sync::LazyLock<Task> = std::sync::LazyLock::new(synthetic::task);
    if name == "synthetic" {
        return Ok(&SYNTHETIC);
    }
    Ok(fewshot::task(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::{ModeRecord, example};

    #[test]
    fn the_best_draw_is_that_of_the_measure_of_choice_and_of_the_state_shown() {
        // Accuracy chooses: the second draw; of equals the first. F1 alone would choose the last.
        let scores = [(0.7, 0.9), (0.8, 0.6), (0.8, 0.5), (0.6, 0.95)];
        let draw = |(accuracy, f1): (f64, f64)| DrawRecord {
            metrics: [("accuracy", accuracy), ("f1", f1)]
                .map(|(name, value)| (name.to_owned(), Some(value)))
                .into(),
            outputs: Outputs::Scores(vec![accuracy, f1]),
        };
        let mut record = example("mrpc", 1, &[2.0, -2.0]);
        let mode = ModeRecord {
            state: Rule::Last,
            draws: scores.map(draw).into(),
        };
        record.modes.insert("random".to_owned(), mode);
        let best = Reading::BestOf(Mode::Random);
        assert_eq!(best.score(&record, Rule::Last, "accuracy"), Some(0.8));
        assert_eq!(best.score(&record, Rule::Last, "f1"), Some(0.6));
        let chosen = Outputs::Scores(vec![0.8, 0.6]);
        assert_eq!(best.outputs(&record, Rule::Last), [&chosen]);
        let all = Reading::In(Mode::Random);
        assert_eq!(all.outputs(&record, Rule::Last).len(), 4);
        let mean = all.score(&record, Rule::Last, "f1").unwrap();
        assert!((mean - 0.7375).abs() < 1e-12, "{mean}");
        // Another state than the one that is shown does not count.
        assert_eq!(best.score(&record, Rule::Best, "f1"), None);
        assert!(best.outputs(&record, Rule::Best).is_empty());
    }
}
