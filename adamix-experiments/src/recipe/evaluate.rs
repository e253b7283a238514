//! A model's logits over a split, and their scores.

use adamix_core::ensemble::uncertainty;
use adamix_core::routing::{Inference, RoutedPath};
use adamix_data::{Encoding, Example, Target, Task, collate, plan_evaluation};
use adamix_models::encoder::{EncoderConfig, EncoderInput, SequenceClassifier};
use adamix_models::pass::{Below, Pass};
use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::base::Base;
use super::mode::Mode;
use super::step::input;
use crate::config::RegressionFloor;
use crate::run::{JsonLines, Metrics};

/// A model made ready to be measured in one mode.
#[derive(Debug)]
pub struct Evaluator {
    model: SequenceClassifier,
    encoder: EncoderConfig,
    inference: Inference,
    paths: Vec<RoutedPath>,
    batch_size: usize,
    pad_id: u32,
    device: Device,
}

/// The logits of a split, in its order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Predictions {
    /// Row ids.
    pub rows: Vec<u32>,
    /// One vector a row.
    #[serde(with = "bits")]
    pub logits: Vec<Vec<f32>>,
    /// What several paths tell of each row, where there are several.
    pub doubts: Option<Vec<Doubt>>,
}

/// How uncertain several paths are about a row, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// Of the mean distribution.
    pub entropy: f32,
    /// How much of it is disagreement of the paths.
    pub mutual_information: f32,
}

impl Doubt {
    fn is_finite(&self) -> bool {
        self.entropy.is_finite() && self.mutual_information.is_finite()
    }
}

/// Floats by their bits, so that those that are no numbers survive JSON.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(rows: &[Vec<f32>], to: S) -> Result<S::Ok, S::Error> {
        let bits = |row: &Vec<f32>| row.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
        to.collect_seq(rows.iter().map(bits))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<f32>>, D::Error> {
        let rows = Vec::<Vec<u32>>::deserialize(from)?;
        let floats = |row: Vec<u32>| row.into_iter().map(f32::from_bits).collect();
        Ok(rows.into_iter().map(floats).collect())
    }
}

/// A line of `predictions/*.jsonl`: no text of the data set.
#[derive(Debug, Serialize)]
struct PredictionLine<'a> {
    row: u32,
    logits: &'a [f32],
    label: serde_json::Value,
    #[serde(flatten)]
    doubt: Option<Doubt>,
}

impl Evaluator {
    /// Prepares a model; a merged one is built once, here.
    ///
    /// # Errors
    /// If the rule cannot merge the model.
    pub fn new(
        model: &SequenceClassifier,
        base: &Base,
        mode: &Mode<'_>,
        device: &Device,
    ) -> Result<Self> {
        let model = mode.ready(model)?;
        Ok(Self {
            paths: mode.paths(&model),
            model,
            encoder: base.config.clone(),
            inference: mode.inference,
            batch_size: mode.batch_size,
            pad_id: base.tokenizer.pad_id,
            device: device.clone().without_autodiff(),
        })
    }

    /// The logits of all examples. `watch` hears after each batch how many rows it had, and may end it all.
    ///
    /// # Errors
    /// If a logit is not finite, or `watch` says so.
    pub fn predict(
        &self,
        examples: &[Example],
        encodings: &[Encoding],
        watch: &dyn Fn(u64) -> Result<()>,
    ) -> Result<Predictions> {
        let lengths: Vec<u32> = encodings.iter().map(|e| e.len() as u32).collect();
        let mut logits = vec![Vec::new(); examples.len()];
        let mut doubts = vec![None; examples.len()];
        for indices in plan_evaluation(&lengths, self.batch_size) {
            let batch: Vec<(u32, &Encoding)> = indices
                .iter()
                .map(|i| (examples[*i as usize].id, &encodings[*i as usize]))
                .collect();
            let batch = collate(&batch, self.pad_id, None);
            let input = input(&self.encoder, &batch, &self.device);
            let paths = self.paths(&input, &batch.rows);
            if paths.len() > 1 && paths[0].dims()[1] > 1 {
                let found = uncertainty(&paths);
                let of_rows = host(found.entropy)
                    .into_iter()
                    .zip(host(found.mutual_information));
                for (index, (entropy, mutual_information)) in indices.iter().zip(of_rows) {
                    doubts[*index as usize] = Some(Doubt {
                        entropy,
                        mutual_information,
                    });
                }
            }
            let found = self.inference.combined(paths);
            let width = found.dims()[1];
            let values = host(found);
            for (index, row) in indices.iter().zip(values.chunks(width)) {
                ensure!(
                    row.iter().all(|value| value.is_finite()),
                    "row {}: the model's output is not finite; a smaller optimizer.learning_rate may help, or another merging rule",
                    examples[*index as usize].id
                );
                logits[*index as usize] = row.to_vec();
            }
            watch(indices.len() as u64)?;
        }
        Ok(Predictions {
            rows: examples.iter().map(|e| e.id).collect(),
            logits,
            // None too where a path gave no number.
            doubts: doubts
                .into_iter()
                .map(|d: Option<Doubt>| d.filter(Doubt::is_finite))
                .collect(),
        })
    }

    /// The logits of every path that answers.
    fn paths(&self, input: &EncoderInput, rows: &[u32]) -> Vec<Tensor<2>> {
        let below = Below::default();
        let logits = |path: &RoutedPath| {
            let routed = path.pass(rows);
            let pass = Pass {
                below: Some(&below),
                ..Pass::routed(&routed)
            };
            self.model.forward(input, &pass)
        };
        self.paths.iter().map(logits).collect()
    }
}

impl Predictions {
    /// The prediction of each row: the largest logit's class, or the output of a regression, bounded below.
    pub fn targets(&self, task: &Task, floor: RegressionFloor) -> Vec<Target> {
        let target = |logits: &Vec<f32>| match task.is_regression() {
            true => Target::Score(floor.of(logits[0])),
            false => Target::Class(argmax(logits)),
        };
        self.logits.iter().map(target).collect()
    }

    /// The task's metrics; none has a value where a logit is not finite.
    pub fn score(&self, task: &Task, examples: &[Example], floor: RegressionFloor) -> Metrics {
        let targets: Vec<Target> = examples.iter().map(|e| e.target).collect();
        let mut metrics = adamix_data::evaluate(task, &self.targets(task, floor), &targets);
        if !self.logits.iter().flatten().all(|value| value.is_finite()) {
            // What is no number has no largest value: no answer was given.
            metrics.values_mut().for_each(|value| *value = None);
        }
        metrics
    }

    /// Writes one line a row.
    pub fn write(&self, task: &Task, floor: RegressionFloor, mut lines: JsonLines) -> Result<()> {
        for (index, ((row, logits), target)) in self
            .rows
            .iter()
            .zip(&self.logits)
            .zip(self.targets(task, floor))
            .enumerate()
        {
            let label = match target {
                Target::Class(class) => task.labels[class as usize].clone().into(),
                Target::Score(score) => f64::from(score).into(),
                Target::Unknown => serde_json::Value::Null,
            };
            lines.write(&PredictionLine {
                row: *row,
                logits,
                label,
                doubt: self.doubts.as_ref().map(|doubts| doubts[index]),
            })?;
        }
        lines.flush()
    }
}

/// The index of the largest value, the first of equals.
pub fn argmax(values: &[f32]) -> u32 {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best as u32
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec().expect("f32 values")
}
