//! The outputs of several runs on the same examples, to be scored on any of them.

use adamix_data::Target;
use adamix_data::metrics::glue;
use anyhow::{Context, Result, ensure};

use super::view::{Reading, View};
use crate::report::Record;

/// The outputs of several runs on the same examples.
pub(super) struct Scored {
    /// The answers.
    pub gold: Vec<Target>,
    /// One vector a run.
    pub outputs: Vec<Vec<Target>>,
}

impl Scored {
    /// None where there is no run, or outputs are texts.
    pub fn of(view: &View<'_>, records: &[&Record], reading: Reading) -> Result<Option<Self>> {
        let Some(gold) = records.first().and_then(|record| view.gold(record)) else {
            return Ok(None);
        };
        let gold = gold.targets();
        let mut outputs = Vec::new();
        for record in records {
            let found = reading.outputs(record, view.profile.rule);
            let found = found.with_context(|| format!("record {} has no outputs", record.id))?;
            ensure!(
                record.gold == records[0].gold && found.rows() == gold.len(),
                "records {} and {} are not of the same rows",
                records[0].id,
                record.id
            );
            outputs.push(found.targets());
        }
        Ok(Some(Self { gold, outputs }))
    }

    /// How many examples.
    pub fn examples(&self) -> usize {
        self.gold.len()
    }

    /// The score of a run on rows, which may repeat.
    pub fn score(&self, run: usize, rows: &[usize], metric: &str) -> Option<f64> {
        let pick = |from: &[Target]| -> Vec<Target> { rows.iter().map(|r| from[*r]).collect() };
        evaluate(metric, &pick(&self.outputs[run]), &pick(&self.gold))
    }
}

/// One metric by its name, over the rows whose answer is known.
pub(super) fn evaluate(metric: &str, outputs: &[Target], gold: &[Target]) -> Option<f64> {
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
