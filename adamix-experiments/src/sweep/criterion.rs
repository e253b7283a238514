//! By what the runs of a sweep are compared.

use serde::{Deserialize, Serialize};

use super::outcome::Score;
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

    /// The same with the way it is read.
    pub fn score(&self, result: &RunResult) -> Option<Score> {
        let goal = self.goal.unwrap_or(match self.metric(result) {
            "loss" | "perplexity" => Goal::Min,
            _ => Goal::Max,
        });
        self.value(result).map(|value| Score { value, goal })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_counts_by_the_epoch_the_metric_and_the_goal_that_are_named() {
        let state = |accuracy: f64, loss: f64| json!({"epoch": 1, "step": 1, "metrics": {"accuracy": accuracy, "loss": loss}});
        let result = json!({
            "id": "", "base_hash": "", "data_hash": "", "semantics": 1, "task": "rte", "method": "head",
            "selection": "accuracy", "inference": "merged", "best": state(0.9, 1.0), "last": state(0.4, 2.0),
            "rows": {}, "stored_bytes": 0, "seconds": {}, "device": "flex", "version": "",
            "parameters": {"backbone": 0, "experts": 0, "shared": 0, "head": 0, "merged": 0, "trained": 0},
        });
        let result: RunResult = serde_json::from_value(result).unwrap();
        let of = |text: &str| {
            let choose: Choose = toml::from_str(text).unwrap();
            (
                choose.value(&result),
                choose.score(&result).map(Score::worth),
            )
        };
        assert_eq!(of(""), (Some(0.9), Some(0.9)));
        assert_eq!(of("epoch = \"last\""), (Some(0.4), Some(0.4)));
        assert_eq!(of("goal = \"min\""), (Some(0.9), Some(-0.9)));
        assert_eq!(of("metric = \"loss\""), (Some(1.0), Some(-1.0)));
        assert_eq!(
            of("metric = \"loss\"\ngoal = \"max\""),
            (Some(1.0), Some(1.0))
        );
        assert_eq!(of("metric = \"f1\""), (None, None));
    }
}
