//! What is kept of a run: enough to recompute every table that it stands in, and small enough to commit.
//!
//! A record holds row ids, labels and our own outputs; no sentence of a data set.

use std::collections::BTreeMap;

use adamix_data::metrics::nlg::bleu::{Counts, moses};
use adamix_data::{Target, Task};
use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::run::{AccountRecord, Identity, Metrics};

/// A run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The run's id.
    pub id: String,
    /// Hash of the base model's files.
    pub base_hash: String,
    /// Hash of the data files.
    pub data_hash: String,
    /// The meaning of a run.
    pub semantics: u32,
    /// The keys that differ from their defaults; with them the run can be run again.
    pub config: toml::Table,
    /// The task.
    pub task: String,
    /// The method.
    pub method: String,
    /// The metric by which the best epoch was chosen.
    pub selection: String,
    /// How the mixture was run when measured.
    pub inference: String,
    /// The answers it is measured against: a [`Gold`] by name. Empty where outputs are texts.
    pub gold: String,
    /// The best epoch on the development split.
    pub best: StateRecord,
    /// The last epoch.
    pub last: StateRecord,
    /// The model in other modes of inference, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<String, ModeRecord>,
    /// Mean training losses over equal parts of the run, and the scores after each epoch.
    pub curve: Curve,
    /// Which experts were drawn when, where the run was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Rows trained on and measured on.
    pub rows: BTreeMap<String, usize>,
    /// Parameter counts.
    pub parameters: AccountRecord,
    /// Bytes that one more task costs on disk, merged, with its head.
    pub stored_bytes: usize,
    /// Wall seconds by part.
    pub seconds: BTreeMap<String, f64>,
    /// Where it ran.
    pub device: String,
    /// The program's version.
    pub version: String,
}

/// One state of a run's model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRecord {
    /// The epoch after which it was taken.
    pub epoch: usize,
    /// The optimiser steps done then.
    pub step: usize,
    /// Its scores.
    pub metrics: Metrics,
    /// Scores on further splits, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<String, Metrics>,
    /// Its outputs; of the best epoch only where that is not the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// What each text adds to BLEU ([`Tested::bleu`](crate::run::Tested::bleu)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bleu: Vec<[u32; 6]>,
}

/// The model measured in another mode of inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeRecord {
    /// Of which state.
    pub state: Rule,
    /// What each draw gave; one where nothing is drawn.
    pub draws: Vec<DrawRecord>,
}

/// One draw of a mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawRecord {
    /// Its scores.
    pub metrics: Metrics,
    /// Its outputs.
    pub outputs: Outputs,
}

/// A model's outputs over a split, in the order of its rows, to five significant digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outputs {
    /// Logits less that of class 0, classes 1 to C - 1 of each row in turn.
    LogOdds {
        /// C.
        classes: usize,
        /// The values.
        values: Vec<f64>,
    },
    /// Scores of a regression.
    Scores(Vec<f64>),
    /// Generated texts.
    Texts(Vec<String>),
}

/// How training went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Last step, mean task loss and mean consistency loss of each part.
    pub losses: Vec<(usize, f64, Option<f64>)>,
    /// Step and selection metric after each epoch.
    pub scores: Vec<(usize, Option<f64>)>,
}

/// How often each expert was drawn, over equal parts of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// The last step.
    pub steps: usize,
    /// Sites in their order: name, and for each part the draws of each expert of its down side.
    pub sites: Vec<(String, Vec<Vec<u32>>)>,
}

/// The answers of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gold {
    /// The task.
    pub task: String,
    /// Row ids as ranges, `0-407`.
    pub rows: String,
    /// Class of each row, one digit each; `-` where not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<String>,
    /// Score of each row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<f64>>,
}

impl Outputs {
    /// Outputs from logits: of a classification one vector a row; of a regression its score.
    pub fn of(task: &Task, logits: &[Vec<f32>], scores: &[f64]) -> Self {
        if task.is_regression() {
            return Self::Scores(scores.iter().map(|s| short(*s)).collect());
        }
        let odds = |row: &Vec<f32>| {
            let first = f64::from(row[0]);
            let rest: Vec<f64> = row[1..]
                .iter()
                .map(|v| short(f64::from(*v) - first))
                .collect();
            rest
        };
        Self::LogOdds {
            classes: task.labels.len(),
            values: logits.iter().flat_map(odds).collect(),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::LogOdds { classes, values } => values.len() / (classes - 1).max(1),
            Self::Scores(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// The prediction of each row: the first of the largest logits, or the score.
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::LogOdds { classes, values } => {
                let class = |row: &[f64]| {
                    let mut best = (0, 0.0);
                    for (i, value) in row.iter().enumerate() {
                        if *value > best.1 {
                            best = (i + 1, *value);
                        }
                    }
                    Target::Class(best.0 as u32)
                };
                values.chunks(classes - 1).map(class).collect()
            }
            Self::Scores(values) => values.iter().map(|v| Target::Score(*v as f32)).collect(),
            Self::Texts(_) => Vec::new(),
        }
    }

    /// The probability of each row's prediction, for calibration; none of a regression.
    pub fn confidences(&self) -> Vec<f64> {
        let Self::LogOdds { classes, values } = self else {
            return Vec::new();
        };
        let confidence = |row: &[f64]| {
            let largest = row.iter().copied().fold(0.0, f64::max);
            let sum: f64 = row.iter().map(|v| (v - largest).exp()).sum();
            1.0 / (sum + (-largest).exp())
        };
        values.chunks(classes - 1).map(confidence).collect()
    }
}

/// A value to five significant digits, in which it keeps its sign.
pub fn short(value: f64) -> f64 {
    format!("{value:.4e}")
        .parse()
        .expect("a number that was just written")
}

impl Gold {
    /// The answers of examples.
    pub fn of(task: &Task, rows: &[u32], targets: &[Target]) -> Self {
        let digit = |target: &Target| match target {
            Target::Class(class) => char::from_digit(*class, 36).unwrap_or('-'),
            _ => '-',
        };
        let score = |target: &Target| f64::from(target.score().unwrap_or(f32::NAN));
        let regression = task.is_regression();
        Self {
            task: task.name.clone(),
            rows: ranges(rows),
            classes: (!regression).then(|| targets.iter().map(digit).collect()),
            scores: regression.then(|| targets.iter().map(|t| short(score(t))).collect()),
        }
    }

    /// The name under which it is kept: the task and the hash of its contents.
    pub fn name(&self) -> String {
        let text = serde_json::to_string(self).expect("answers serialise");
        let hash = blake3::hash(text.as_bytes()).to_hex();
        format!("{}-{}", self.task, &hash[..8])
    }

    /// The targets, in order.
    pub fn targets(&self) -> Vec<Target> {
        let class = |digit: char| digit.to_digit(36).map_or(Target::Unknown, Target::Class);
        match (&self.classes, &self.scores) {
            (Some(classes), _) => classes.chars().map(class).collect(),
            (None, Some(scores)) => scores.iter().map(|s| Target::Score(*s as f32)).collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// `0-407`, `3,5-7`: ids in their order.
fn ranges(rows: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for row in rows {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == *row => *end = *row,
            _ => parts.push((*row, *row)),
        }
    }
    let part = |(start, end): &(u32, u32)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

impl Record {
    /// The run's identity.
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            base_hash: self.base_hash.clone(),
            data_hash: self.data_hash.clone(),
            semantics: self.semantics,
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        let seed = self.config.get("seed").and_then(toml::Value::as_integer);
        seed.map_or(1, |seed| seed as u64)
    }

    /// Takes over what was measured of the same run before, and not now.
    pub fn keep(&mut self, before: &Self) {
        if self.id != before.id {
            return;
        }
        for (name, mode) in &before.modes {
            self.modes
                .entry(name.clone())
                .or_insert_with(|| mode.clone());
        }
        if self.usage.is_none() {
            self.usage.clone_from(&before.usage);
        }
    }

    /// Whether a state was measured in another mode of inference.
    pub fn measured_in(&self, mode: &str, rule: Rule) -> bool {
        self.modes
            .get(mode)
            .is_some_and(|found| found.state == rule)
    }

    /// The outputs of a state: those of the last epoch where the best is the last.
    pub fn outputs(&self, rule: Rule) -> Option<&Outputs> {
        match rule {
            Rule::Best => self.best.outputs.as_ref().or(self.last.outputs.as_ref()),
            Rule::Last => self.last.outputs.as_ref(),
        }
    }

    /// A state.
    pub fn state(&self, rule: Rule) -> &StateRecord {
        match rule {
            Rule::Best => &self.best,
            Rule::Last => &self.last,
        }
    }

    /// Recomputes the scores from the outputs.
    ///
    /// # Errors
    /// If a score is not the one that the record states.
    pub fn verify(&self, task: &Task, gold: &Gold) -> Result<()> {
        let targets = gold.targets();
        for (name, state, rule) in [
            ("best", &self.best, Rule::Best),
            ("last", &self.last, Rule::Last),
        ] {
            let Some(outputs) = self.outputs(rule) else {
                bail!("record {}: no outputs of the {name} epoch", self.id);
            };
            self.check(task, &targets, outputs, &state.metrics, name)?;
        }
        for (name, mode) in &self.modes {
            for draw in &mode.draws {
                self.check(task, &targets, &draw.outputs, &draw.metrics, name)?;
            }
        }
        Ok(())
    }

    /// Recomputes the BLEU of generated texts from what each of them adds to it.
    ///
    /// # Errors
    /// If it is not the one that the record states.
    pub fn verify_texts(&self) -> Result<()> {
        for state in [&self.best, &self.last] {
            if state.bleu.is_empty() {
                continue;
            }
            let total: Counts = state.bleu.iter().fold(Counts::default(), |mut sum, kept| {
                sum += &Counts::from_compact(*kept);
                sum
            });
            let whole = self.perfect_bleu();
            let computed = moses::score(&total) * whole / 100.0;
            // Without any match of some order the scripts of E2E give a little more than nothing.
            let tolerance = if total.matches[3] > 0.0 { 1e-6 } else { 1e-3 };
            let stated = state.metrics.get("bleu").copied().flatten();
            ensure!(
                stated.is_some_and(|stated| (stated - computed).abs() < tolerance * whole),
                "record {}: bleu is stated as {stated:?}, its texts give {computed}",
                self.id
            );
        }
        Ok(())
    }

    /// BLEU of a perfect text: 1 by the scripts of E2E, 100 by those of WebNLG and DART.
    pub fn perfect_bleu(&self) -> f64 {
        if self.task == "e2e" { 1.0 } else { 100.0 }
    }

    /// Recomputes the scores of some outputs.
    fn check(
        &self,
        task: &Task,
        targets: &[Target],
        outputs: &Outputs,
        metrics: &Metrics,
        what: &str,
    ) -> Result<()> {
        let id = &self.id;
        ensure!(
            outputs.rows() == targets.len(),
            "record {id}, {what}: {} outputs for {} rows of {}",
            outputs.rows(),
            targets.len(),
            self.gold
        );
        let found = adamix_data::evaluate(task, &outputs.targets(), targets);
        for (metric, stated) in metrics {
            let computed = found.get(metric).copied().flatten();
            let agree = match (computed, stated) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-4,
                (a, b) => a == *b,
            };
            ensure!(
                agree,
                "record {id}, {what}: {metric} is stated as {stated:?}, its outputs give {computed:?}"
            );
        }
        Ok(())
    }
}

/// Which epoch a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The best on the development split that is reported, as the paper: optimistic.
    Best,
    /// The last, whatever it is.
    Last,
}

impl Rule {
    /// In a caption.
    pub fn caption(self) -> &'static str {
        match self {
            Self::Best => {
                "Scores are of the best epoch on the development rows that they are reported on, as in the paper, which is optimistic."
            }
            Self::Last => {
                "Scores are of the last epoch; nothing is selected on the rows that are reported. The best epoch is in the CSV."
            }
        }
    }

    /// `best` or `last`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Last => "last",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_sign_and_five_digits() {
        assert_eq!(short(1.234_567_8), 1.2346);
        assert_eq!(short(-1.234_567_8e-9), -1.2346e-9);
        assert_eq!(short(0.0), 0.0);
    }

    #[test]
    fn predictions_come_back_from_log_odds() {
        let task = Task::by_name("mnli").unwrap();
        let logits = [
            vec![0.1, 0.2, -1.0],
            vec![3.0, 1.0, 2.0],
            vec![1.0, 1.0, 1.0],
            vec![0.0, 1.0, 4.0],
        ];
        let outputs = Outputs::of(task, &logits, &[]);
        let classes: Vec<_> = outputs
            .targets()
            .iter()
            .map(|t| t.class().unwrap())
            .collect();
        // Of equal logits the first, as at evaluation.
        assert_eq!(classes, [1, 0, 0, 2]);
        assert_eq!(outputs.rows(), 4);
        // softmax(0, 1, 4)[2] = e^4 / (1 + e + e^4)
        let expected = 4f64.exp() / (1.0 + 1f64.exp() + 4f64.exp());
        assert!((outputs.confidences()[3] - expected).abs() < 1e-12);
        assert!((outputs.confidences()[2] - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn answers_are_kept_whole() {
        let task = Task::by_name("mrpc").unwrap();
        let targets = [Target::Class(1), Target::Class(0), Target::Unknown];
        let gold = Gold::of(task, &[0, 1, 5], &targets);
        assert_eq!(gold.rows, "0-1,5");
        assert_eq!(gold.classes.as_deref(), Some("10-"));
        assert_eq!(gold.targets(), targets);
        let stsb = Task::by_name("stsb").unwrap();
        let targets = [Target::Score(2.5), Target::Score(5.0)];
        assert_eq!(Gold::of(stsb, &[0, 1], &targets).targets(), targets);
    }
}
