//! The outputs of several runs on the same examples, to be scored on any of them.

mod rows;
mod texts;

use anyhow::Result;

use super::view::{Reading, View};
use crate::report::Record;
use crate::report::record::Rule;
use rows::Rows;
pub(super) use rows::evaluate;
use texts::Texts;

/// The outputs of several runs on the same examples.
pub(super) enum Scored {
    /// Classes or scores.
    Rows(Rows),
    /// Texts, of which is kept what makes BLEU.
    Texts(Texts),
}

impl Scored {
    /// None where there is no run, or nothing is kept of its texts.
    pub fn of(
        view: &View<'_>,
        records: &[&Record],
        reading: Reading,
        rule: Rule,
    ) -> Result<Option<Self>> {
        if let Some(rows) = Rows::of(view, records, reading, rule)? {
            return Ok(Some(Self::Rows(rows)));
        }
        Ok(Texts::of(records, reading, rule)?.map(Self::Texts))
    }

    /// How many runs.
    pub fn runs(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.runs.len(),
            Self::Texts(texts) => texts.runs.len(),
        }
    }

    /// How many examples.
    pub fn examples(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.examples(),
            Self::Texts(texts) => texts.examples(),
        }
    }

    /// The score of a run on examples, which may repeat.
    pub fn score(&self, run: usize, examples: &[usize], metric: &str) -> Option<f64> {
        match self {
            Self::Rows(rows) => rows.score(run, examples, metric),
            Self::Texts(texts) => texts.score(run, examples, metric),
        }
    }

    /// The difference of a run's scores from another method's when the outputs of the marked examples change sides.
    pub fn swapped(&self, other: &Self, run: usize, swap: &[bool], metric: &str) -> Option<f64> {
        match (self, other) {
            (Self::Rows(own), Self::Rows(other)) => own.swapped(other, run, swap, metric),
            (Self::Texts(own), Self::Texts(other)) => own.swapped(other, run, swap, metric),
            _ => None,
        }
    }
}
