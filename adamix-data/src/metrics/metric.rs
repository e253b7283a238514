//! The named metrics of classification and regression tasks, and their evaluation for a task.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::glue;
use crate::example::Target;
use crate::task::Task;

/// A metric of a classification or regression task; larger is better. Serialised by its Hugging Face name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Metric {
    /// Share of correct predictions.
    #[serde(rename = "accuracy")]
    Accuracy,
    /// F1 of class 1.
    #[serde(rename = "f1")]
    F1,
    /// Matthews correlation coefficient, of any number of classes.
    #[serde(rename = "matthews_correlation")]
    Matthews,
    /// Pearson correlation.
    #[serde(rename = "pearson")]
    Pearson,
    /// Spearman rank correlation, average ranks for ties.
    #[serde(rename = "spearmanr")]
    Spearman,
    /// The mean of the task's other metrics.
    #[serde(rename = "combined_score")]
    CombinedScore,
}

impl Metric {
    /// The Hugging Face name, the key of this metric in every record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::Matthews => "matthews_correlation",
            Self::Pearson => "pearson",
            Self::Spearman => "spearmanr",
            Self::CombinedScore => "combined_score",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The task's metrics by name; `None` where a metric is undefined (no labelled row, or a constant under a correlation).
///
/// Rows whose target is [`Target::Unknown`] are left out. Predictions are [`Target::Class`] (the
/// most probable class) or, for regression, [`Target::Score`].
///
/// # Panics
/// If the slices differ in length, or a known target or its prediction is not of the task's kind.
pub fn evaluate(
    task: &Task,
    predictions: &[Target],
    targets: &[Target],
) -> BTreeMap<String, Option<f64>> {
    assert_eq!(
        predictions.len(),
        targets.len(),
        "one prediction for each target"
    );
    let known = || {
        predictions
            .iter()
            .zip(targets)
            .filter(|(_, target)| **target != Target::Unknown)
    };
    let mut scores = BTreeMap::new();
    let mut single = |metric: Metric, value: Option<f64>| {
        scores.insert(metric.name().to_owned(), value);
    };
    let plain = task
        .metrics
        .iter()
        .copied()
        .filter(|&m| m != Metric::CombinedScore);
    let mut values = Vec::new();
    if task.is_regression() {
        let score = |t: &Target| f64::from(t.score().expect("a regression task compares scores"));
        let (p, t): (Vec<f64>, Vec<f64>) = known().map(|(p, t)| (score(p), score(t))).unzip();
        for metric in plain {
            let value = match metric {
                Metric::Pearson => glue::pearson(&p, &t),
                Metric::Spearman => glue::spearman(&p, &t),
                _ => None,
            };
            values.push(value);
            single(metric, value);
        }
    } else {
        let class = |t: &Target| t.class().expect("a classification task compares classes");
        let (p, t): (Vec<u32>, Vec<u32>) = known().map(|(p, t)| (class(p), class(t))).unzip();
        for metric in plain {
            let value = match metric {
                Metric::Accuracy => glue::accuracy(&p, &t),
                Metric::F1 => glue::f1(&p, &t),
                Metric::Matthews => glue::matthews(&p, &t),
                _ => None,
            };
            values.push(value);
            single(metric, value);
        }
    }
    if task.metrics.contains(&Metric::CombinedScore) {
        single(Metric::CombinedScore, glue::combined(&values));
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_reports_its_metrics() {
        let mrpc = Task::by_name("mrpc").unwrap();
        let classes = |v: &[u32]| v.iter().map(|&c| Target::Class(c)).collect::<Vec<_>>();
        let mut targets = classes(&[1, 0, 1, 1]);
        let predictions = classes(&[1, 1, 1, 0]);
        let scores = evaluate(mrpc, &predictions, &targets);
        assert_eq!(scores["accuracy"], Some(0.5));
        assert_eq!(scores["f1"], Some(2.0 / 3.0));
        assert_eq!(scores["combined_score"], Some((0.5 + 2.0 / 3.0) / 2.0));

        targets[3] = Target::Unknown;
        assert_eq!(
            evaluate(mrpc, &predictions, &targets)["accuracy"],
            Some(2.0 / 3.0)
        );
        let nothing = evaluate(mrpc, &predictions, &[Target::Unknown; 4]);
        assert!(nothing.len() == 3 && nothing.values().all(Option::is_none));
    }

    #[test]
    fn a_constant_regressor_has_no_correlation() {
        let stsb = Task::by_name("sts-b").unwrap();
        let targets = [1.0, 2.0, 4.0].map(Target::Score);
        let scores = evaluate(stsb, &[2.5; 3].map(Target::Score), &targets);
        assert_eq!(
            scores.into_iter().collect::<Vec<_>>(),
            [
                ("combined_score".into(), None),
                ("pearson".into(), None),
                ("spearmanr".into(), None)
            ]
        );
    }

    #[test]
    fn the_serialised_name_is_the_name() {
        for metric in [
            Metric::Accuracy,
            Metric::F1,
            Metric::Matthews,
            Metric::Pearson,
            Metric::Spearman,
            Metric::CombinedScore,
        ] {
            assert_eq!(
                serde_json::to_string(&metric).unwrap(),
                format!("\"{}\"", metric.name())
            );
        }
    }
}
