//! By what the runs of a sweep are compared.

use serde::{Deserialize, Serialize};

use crate::run::RunResult;

/// How settings are compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Choose {
    /// A metric of the runs' results; the task's own where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Whether more or less of it is better; less of `loss` and `perplexity`, more of all others where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Which epoch counts.
    pub epoch: Epoch,
    /// Config keys: one setting is chosen for each of their values, such as each `adaptation.method`.
    pub for_each: Vec<String>,
}

/// Which way a metric is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// More is better.
    Max,
    /// Less is better.
    Min,
}

/// Which epoch of a run counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Epoch {
    /// The best one.
    #[default]
    Best,
    /// The last one.
    Last,
}

impl Choose {
    /// A run's value of the metric.
    pub fn value(&self, result: &RunResult) -> Option<f64> {
        let measured = match self.epoch {
            Epoch::Best => &result.best,
            Epoch::Last => &result.last,
        };
        measured.metrics.get(self.metric(result)).copied().flatten()
    }

    fn metric<'a>(&'a self, result: &'a RunResult) -> &'a str {
        self.metric.as_ref().unwrap_or(&result.selection)
    }

    /// The value such that more is better.
    pub fn score(&self, result: &RunResult) -> Option<f64> {
        let goal = self.goal.unwrap_or(match self.metric(result) {
            "loss" | "perplexity" => Goal::Min,
            _ => Goal::Max,
        });
        self.value(result).map(|value| match goal {
            Goal::Max => value,
            Goal::Min => -value,
        })
    }

    /// `best accuracy`, or what the rule says.
    pub fn name(&self) -> String {
        let epoch = match self.epoch {
            Epoch::Best => "best epoch",
            Epoch::Last => "last epoch",
        };
        let metric = self.metric.as_deref().unwrap_or("the task's metric");
        format!("{metric}, {epoch}")
    }
}
