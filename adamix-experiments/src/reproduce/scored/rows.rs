//! Classes and scores of several runs, with the answers.

use adamix_data::Target;
use adamix_data::metrics::glue;
use anyhow::{Result, ensure};

use super::super::view::{Reading, View};
use crate::report::record::Rule;
use crate::report::{Outputs, Record};

/// The outputs of several runs on the same examples.
pub(crate) struct Rows {
    /// The answers.
    pub gold: Vec<Target>,
    /// What each run gave: one vector, or one a draw.
    pub runs: Vec<Vec<Vec<Target>>>,
}

impl Rows {
    /// None where there is no run, or outputs are texts.
    pub fn of(
        view: &View<'_>,
        records: &[&Record],
        reading: Reading,
        rule: Rule,
    ) -> Result<Option<Self>> {
        let Some(gold) = records.first().and_then(|record| view.gold(record)) else {
            return Ok(None);
        };
        let gold = gold.targets();
        let mut runs = Vec::new();
        for record in records {
            let found = reading.outputs(record, rule);
            ensure!(!found.is_empty(), "record {} has no outputs", record.id);
            ensure!(
                record.gold == records[0].gold && found.iter().all(|o| o.rows() == gold.len()),
                "records {} and {} are not of the same rows",
                records[0].id,
                record.id
            );
            runs.push(found.into_iter().map(Outputs::targets).collect());
        }
        Ok(Some(Self { gold, runs }))
    }

    /// How many examples.
    pub fn examples(&self) -> usize {
        self.gold.len()
    }

    /// The score of a run on rows, which may repeat: the mean over its draws.
    pub fn score(&self, run: usize, rows: &[usize], metric: &str) -> Option<f64> {
        let pick = |from: &[Target]| -> Vec<Target> { rows.iter().map(|r| from[*r]).collect() };
        let gold = pick(&self.gold);
        let scores = self.runs[run].iter();
        mean(scores.map(|draw| evaluate(metric, &pick(draw), &gold)))
    }

    /// The difference of a run's scores from another method's when the outputs of the marked examples change sides.
    /// Where one has several draws, each is set against the other's.
    pub fn swapped(&self, other: &Self, run: usize, swap: &[bool], metric: &str) -> Option<f64> {
        let (own, others) = (&self.runs[run], &other.runs[run]);
        let pick = |stay: &[Target], come: &[Target]| -> Vec<Target> {
            let of = |i: usize| if swap[i] { come[i] } else { stay[i] };
            (0..swap.len()).map(of).collect()
        };
        let draws = 0..own.len().max(others.len());
        mean(draws.map(|draw| {
            let (a, b) = (&own[draw % own.len()], &others[draw % others.len()]);
            let one = evaluate(metric, &pick(a, b), &self.gold)?;
            Some(one - evaluate(metric, &pick(b, a), &self.gold)?)
        }))
    }
}

/// The mean of values that are all defined.
fn mean(values: impl ExactSizeIterator<Item = Option<f64>>) -> Option<f64> {
    let count = values.len() as f64;
    values.sum::<Option<f64>>().map(|sum| sum / count)
}

/// One metric by its name, over the rows whose answer is known.
pub(crate) fn evaluate(metric: &str, outputs: &[Target], gold: &[Target]) -> Option<f64> {
    let known = || {
        outputs
            .iter()
            .zip(gold)
            .filter(|(_, g)| **g != Target::Unknown)
    };
    let classes = || -> (Vec<u32>, Vec<u32>) {
        known()
            .filter_map(|(o, g)| Some((o.class()?, g.class()?)))
            .unzip()
    };
    let scores = || -> (Vec<f64>, Vec<f64>) {
        known()
            .filter_map(|(o, g)| Some((f64::from(o.score()?), f64::from(g.score()?))))
            .unzip()
    };
    let of_classes = |measure: fn(&[u32], &[u32]) -> Option<f64>| {
        let (outputs, gold) = classes();
        measure(&outputs, &gold)
    };
    let of_scores = |measure: fn(&[f64], &[f64]) -> Option<f64>| {
        let (outputs, gold) = scores();
        measure(&outputs, &gold)
    };
    match metric {
        "accuracy" => of_classes(glue::accuracy),
        "f1" => of_classes(glue::f1),
        "matthews_correlation" => of_classes(glue::matthews),
        "pearson" => of_scores(glue::pearson),
        "spearmanr" => of_scores(glue::spearman),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_an_answer_are_left_out() {
        let outputs = [1, 0, 1].map(Target::Class);
        let gold = [Target::Class(1), Target::Unknown, Target::Class(0)];
        assert_eq!(evaluate("accuracy", &outputs, &gold), Some(0.5));
        let outputs = [1.0, 2.0, 3.0].map(Target::Score);
        let gold = [2.0, 4.0, 6.5].map(Target::Score);
        assert!(evaluate("pearson", &outputs, &gold).unwrap() > 0.99);
        assert_eq!(evaluate("bleu", &outputs, &gold), None);
    }
}
