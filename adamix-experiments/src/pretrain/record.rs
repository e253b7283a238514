//! `pretrain.json`: what a finished pretraining was and came to. No path of the machine is in it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::config::{PretrainConfig, TrainingConfig};
use crate::run;

/// The file's name.
pub(super) const FILE: &str = "pretrain.json";

/// A finished pretraining.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The hash of what decides the outcome: config, contents of the files, meaning of the recipe.
    pub identity: String,
    /// What was read.
    pub data: DataRecord,
    /// Trained parameters.
    pub parameters: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Tokens seen, repeats counted.
    pub tokens: usize,
    /// Passes over the training rows.
    pub epochs: f64,
    /// Mean loss over the steps since the last point but one of the curve, in nats a predicted token.
    pub training_loss: f64,
    /// What the written model comes to on rows it was not trained on.
    pub held_out: Vec<HeldOut>,
    /// The way there.
    pub curve: Vec<Point>,
    /// Wall time of all sittings together, without reading the corpus.
    pub seconds: f64,
    /// BLAKE3 of `model.safetensors`.
    pub model_hash: String,
    /// The program's version.
    pub version: String,
    /// Hash of the files of the base model, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_hash: Option<String>,
    /// The config, as it was given.
    pub config: PretrainConfig,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Number of files.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Hash of their contents.
    pub hash: String,
    /// Paragraphs.
    pub paragraphs: usize,
    /// Rows to train on.
    pub rows: usize,
    /// Tokens in these.
    pub tokens: usize,
}

/// A measurement on rows that were not trained on: of every token from those before it, or of hidden ones, then
/// with tokens hidden as in BERT (15 %; 80/10/10) whatever the training did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// `corpus`, or the name of the held-out file.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Predicted tokens.
    pub places: usize,
    /// Mean negative log-likelihood of these, in nats.
    pub loss: f64,
    /// Its exponential.
    pub perplexity: f64,
    /// The perplexity at the same places of guessing by the training rows' token frequencies.
    pub unigram_perplexity: f64,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Optimiser steps so far.
    pub step: usize,
    /// Mean training loss since the point before.
    pub training_loss: f64,
    /// Loss on the held-out rows of the corpus, 32-bit weights.
    pub held_out_loss: f64,
}

impl Record {
    /// The record of a folder, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let record = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Some(record))
    }
}

/// The curve that a run's `metrics.jsonl` tells.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn curve(run: &Path) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    let mut losses: Vec<f64> = Vec::new();
    for line in run::read_metrics(run)? {
        if let Some(loss) = line["loss"].as_f64() {
            losses.push(loss);
        }
        // A state that is measured twice, by a plan that was shortened to it, has no steps between.
        if let Some(held_out_loss) = line["metrics"]["loss"].as_f64()
            && !losses.is_empty()
        {
            points.push(Point {
                step: line["step"].as_u64().unwrap_or_default() as usize,
                training_loss: losses.iter().sum::<f64>() / losses.len() as f64,
                held_out_loss,
            });
            losses.clear();
        }
    }
    Ok(points)
}

/// Refuses a schedule whose learning rates are not those of the steps that are done.
///
/// # Errors
/// Names the first step that differs.
pub(super) fn expect_schedule(run: &Path, done: usize, training: &TrainingConfig) -> Result<()> {
    ensure!(
        done <= training.steps,
        "{}: the checkpoint is after step {done}, `training.steps` is {}",
        run.display(),
        training.steps
    );
    for line in run::read_metrics(run)? {
        let step = line["step"].as_u64().unwrap_or_default() as usize;
        if let Some(rate) = line["lr"].as_f64()
            && (1..=done).contains(&step)
        {
            ensure!(
                rate == training.rate(step),
                "{}: the learning rate of step {step} was {rate}, this schedule has {} there; choose another folder",
                run.display(),
                training.rate(step)
            );
        }
    }
    Ok(())
}
