//! What is to be predicted, from which columns, and how it is scored.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::metrics::Metric;
use crate::split::Split;

/// A classification or regression task over single texts or pairs of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Short name, such as `mrpc`.
    pub name: String,
    /// Labels in class order; empty for a regression task.
    pub labels: Vec<String>,
    /// What an evaluation reports.
    pub metrics: Vec<Metric>,
    /// What the best epoch is chosen by.
    pub selection: Metric,
    /// Where a row's texts and label stand.
    pub columns: Columns,
    /// Folder names the task's files are known to lie in, below a root that holds many tasks.
    pub folders: Vec<String>,
    /// The splits an evaluation runs over; the first is the one selection uses.
    pub dev_splits: Vec<Split>,
}

/// The named columns of a task's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The text, or the first of the pair.
    pub first: String,
    /// The second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
    /// The label or score.
    pub label: String,
}

impl Columns {
    /// Columns by name; `second` is `None` for single texts.
    pub fn new(first: &str, second: Option<&str>, label: &str) -> Self {
        Self {
            first: first.into(),
            second: second.map(Into::into),
            label: label.into(),
        }
    }
}

impl Task {
    /// The GLUE task of a name, in any case, with or without its hyphen (`SST-2`, `sst2`, `stsb`, `ax`, ...).
    ///
    /// # Errors
    /// [`DataError::UnknownTask`], which lists the names.
    pub fn by_name(name: &str) -> Result<&'static Self, DataError> {
        let wanted = name.trim().to_ascii_lowercase().replace(['-', '_'], "");
        let known = || GLUE.iter().map(|t| t.name.as_str()).collect::<Vec<_>>();
        GLUE.iter()
            .find(|task| task.name == wanted)
            .ok_or_else(|| DataError::UnknownTask {
                name: name.into(),
                known: known().join(", "),
            })
    }

    /// The GLUE tasks, in the order of the GLUE paper's table, the diagnostic set last.
    pub fn glue() -> &'static [Self] {
        &GLUE
    }

    /// A user's classification task, scored by accuracy (and F1 of the second label if there are two).
    ///
    /// # Errors
    /// [`DataError::Task`] for fewer than two labels, or a label given twice.
    pub fn classification(
        name: &str,
        labels: Vec<String>,
        columns: Columns,
    ) -> Result<Self, DataError> {
        let mut metrics = vec![Metric::Accuracy];
        if labels.len() == 2 {
            metrics.push(Metric::F1);
        }
        let task = Self::own(name, labels, metrics, columns);
        let wrong = |message: String| DataError::Task {
            name: name.into(),
            message,
        };
        if task.labels.len() < 2 {
            return Err(wrong(format!(
                "a classification task needs at least two labels, found {:?}",
                task.labels
            )));
        }
        let mut sorted = task.labels.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(wrong(format!("the label `{}` is given twice", pair[0]))),
            None => Ok(task),
        }
    }

    /// A user's regression task, scored by Pearson and Spearman correlation.
    pub fn regression(name: &str, columns: Columns) -> Self {
        let metrics = vec![Metric::Pearson, Metric::Spearman];
        Self::own(name, Vec::new(), metrics, columns)
    }

    fn own(name: &str, labels: Vec<String>, metrics: Vec<Metric>, columns: Columns) -> Self {
        Self {
            name: name.into(),
            labels,
            selection: metrics[0],
            metrics,
            columns,
            folders: vec![name.into()],
            dev_splits: vec![Split::Dev],
        }
    }

    /// Whether a score is predicted, not a class.
    pub fn is_regression(&self) -> bool {
        self.labels.is_empty()
    }

    /// The width of the head: the number of labels, or 1 for regression.
    pub fn num_outputs(&self) -> usize {
        self.labels.len().max(1)
    }

    /// The class of a label as written in a file: its name, or its number in class order where no class has a number
    /// for a name.
    pub fn class_of(&self, label: &str) -> Option<u32> {
        let named = self.labels.iter().position(|l| l == label);
        let numbered = || label.parse().ok().filter(|&i| i < self.labels.len());
        let index = named.or_else(|| numbered().filter(|_| !self.has_numbers_for_names()));
        index.map(|i| i as u32)
    }

    /// Whether a class is called by a number, so that a number in a file is a name or a fault.
    pub(crate) fn has_numbers_for_names(&self) -> bool {
        self.labels.iter().any(|label| label.parse::<f64>().is_ok())
    }
}

static GLUE: LazyLock<Vec<Task>> = LazyLock::new(|| {
    use Metric::{Accuracy, CombinedScore, F1, Matthews, Pearson, Spearman};
    let task = |name: &str,
                labels: &[&str],
                metrics: &[Metric],
                (first, second, label): (&str, Option<&str>, &str),
                folders: &[&str],
                dev_splits: &[Split]| Task {
        name: name.into(),
        labels: labels.iter().map(|&l| l.into()).collect(),
        selection: metrics[0],
        metrics: metrics.into(),
        columns: Columns::new(first, second, label),
        folders: folders.iter().map(|&f| f.into()).collect(),
        dev_splits: dev_splits.into(),
    };
    let dev = &[Split::Dev];
    let pair = ("sentence1", Some("sentence2"), "label");
    let nli = ("sentence1", Some("sentence2"), "gold_label");
    vec![
        task(
            "cola",
            &["unacceptable", "acceptable"],
            &[Matthews],
            ("sentence", None, "label"),
            &["CoLA", "cola"],
            dev,
        ),
        task(
            "sst2",
            &["negative", "positive"],
            &[Accuracy],
            ("sentence", None, "label"),
            &["SST-2", "sst2", "sst-2", "SST2"],
            dev,
        ),
        task(
            "mrpc",
            &["not_equivalent", "equivalent"],
            &[Accuracy, F1, CombinedScore],
            ("#1 String", Some("#2 String"), "Quality"),
            &["MRPC", "mrpc"],
            dev,
        ),
        task(
            "qqp",
            &["not_duplicate", "duplicate"],
            &[Accuracy, F1, CombinedScore],
            ("question1", Some("question2"), "is_duplicate"),
            &["QQP", "qqp"],
            dev,
        ),
        task(
            "stsb",
            &[],
            &[Pearson, Spearman, CombinedScore],
            ("sentence1", Some("sentence2"), "score"),
            &["STS-B", "stsb", "sts-b", "STSB"],
            dev,
        ),
        task(
            "mnli",
            &["entailment", "neutral", "contradiction"],
            &[Accuracy],
            nli,
            &["MNLI", "mnli"],
            &[Split::Dev, Split::DevMismatched],
        ),
        task(
            "qnli",
            &["entailment", "not_entailment"],
            &[Accuracy],
            ("question", Some("sentence"), "label"),
            &["QNLI", "qnli"],
            dev,
        ),
        task(
            "rte",
            &["entailment", "not_entailment"],
            &[Accuracy],
            pair,
            &["RTE", "rte"],
            dev,
        ),
        task(
            "wnli",
            &["not_entailment", "entailment"],
            &[Accuracy],
            pair,
            &["WNLI", "wnli"],
            dev,
        ),
        task(
            "ax",
            &["entailment", "neutral", "contradiction"],
            &[Accuracy, Matthews],
            nli,
            &["diagnostic", "AX", "ax"],
            &[Split::Diagnostic],
        ),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_spelling() {
        for (name, expected) in [
            ("SST-2", "sst2"),
            ("sst2", "sst2"),
            ("STS-B", "stsb"),
            ("MNLI", "mnli"),
            ("ax", "ax"),
            ("CoLA", "cola"),
        ] {
            assert_eq!(Task::by_name(name).unwrap().name, expected);
        }
        let error = Task::by_name("imdb").unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown task `imdb`; known tasks: cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte, wnli, ax"
        );
    }

    #[test]
    fn selection_is_what_glue_reports() {
        for task in Task::glue() {
            let expected = match task.name.as_str() {
                "cola" => Metric::Matthews,
                "stsb" => Metric::Pearson,
                _ => Metric::Accuracy,
            };
            assert_eq!(task.selection, expected, "{}", task.name);
            assert_eq!(task.is_regression(), task.name == "stsb");
            assert_eq!(task.num_outputs(), task.labels.len().max(1));
        }
    }

    #[test]
    fn a_label_is_a_name_or_a_number() {
        let qnli = Task::by_name("qnli").unwrap();
        assert_eq!(qnli.class_of("not_entailment"), Some(1));
        assert_eq!(qnli.class_of("0"), Some(0));
        assert_eq!(qnli.class_of("2"), None);
        assert_eq!(qnli.class_of("-1"), None);
        assert_eq!(qnli.class_of("Entailment"), None);
    }

    #[test]
    fn an_own_task_survives_serialisation_and_refuses_nonsense() {
        let columns = Columns::new("text", None, "topic");
        let labels = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        let task =
            Task::classification("news", labels(&["sport", "world"]), columns.clone()).unwrap();
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
        for bad in [&["one"][..], &["a", "b", "a"]] {
            assert!(Task::classification("x", labels(bad), columns.clone()).is_err());
        }
    }
}
