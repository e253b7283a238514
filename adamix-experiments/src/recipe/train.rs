//! Training from a config to a whole run folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use adamix_core::optimizer::AdamW;
use adamix_core::parameter::HostTensor;
use adamix_core::routing;
use adamix_data::{Encoding, plan_epoch};
use adamix_keys::Key;
use adamix_models::site::Adaptable;
use anyhow::Result;
use burn::tensor::Device;
use indicatif::ProgressBar;
use serde_json::json;

use super::base::{Adapted, Base};
use super::data::{TaskData, encode, number_of_steps};
use super::evaluate::{Evaluator, Mode, Predictions};
use super::schedule::learning_rate;
use super::step::Trainer;
use crate::config::RunConfig;
use crate::run::{Identity, Measured, Metrics, RunFolder, RunResult, Started};

/// How a call of [`train`] ended.
#[derive(Debug)]
pub struct Outcome {
    /// The run's folder.
    pub folder: PathBuf,
    /// Its result.
    pub result: RunResult,
    /// Whether the run was already there.
    pub repeated: bool,
}

/// Runs a config to its end, or finds that it already ran.
///
/// `out` is the run's folder; without it, `runs/<id>`. `trace` writes every step's rows and routes.
///
/// # Errors
/// If a file is at fault, or a loss is not finite. A folder without `result.json` is no run yet.
pub fn train(
    config: &RunConfig,
    out: Option<&Path>,
    device_name: &str,
    trace: bool,
    progress: &ProgressBar,
) -> Result<Outcome> {
    let started = Instant::now();
    let device = crate::device::open(device_name)?.autodiff();
    let base = Base::open(&config.model_folder()?)?;
    let data = TaskData::load(config)?;
    let identity = Identity::new(config, &base.hash, &data.hash);
    let path = out.map_or_else(|| Path::new("runs").join(&identity.id), Path::to_owned);
    let folder = match RunFolder::start(&path, config, &identity)? {
        Started::New(folder) => folder,
        Started::Done(result) => {
            return Ok(Outcome {
                folder: path,
                result: *result,
                repeated: true,
            });
        }
    };

    let max_length = base.max_length(config.input.max_length);
    let train_tokens = encode(&base.tokenizer, &data.train, max_length)?;
    let adapted = base.adapted(config, data.task.num_outputs(), &device)?;
    let description = adapted.describe(config, &base, &data.task, false);
    adapted.save(&folder.file("adapter/initial"), &description)?;

    let policy = config.routing.policy()?;
    let trainer = Trainer {
        config,
        encoder: &base.config.clone().with_dropout(config.backbone.dropout),
        task: &data.task,
        examples: &data.train,
        encodings: &train_tokens,
        pad_id: base.tokenizer.pad_id,
        max_length,
        policy: policy.as_ref(),
        sites: adapted.model.sites(),
        device: &device,
    };
    let measure = Measure::new(
        config,
        &base,
        &data,
        max_length,
        &device,
        policy.native_inference(),
    )?;

    let total = number_of_steps(&config.schedule, data.train.len());
    let lengths: Vec<u32> = train_tokens.iter().map(|e| e.len() as u32).collect();
    let mut metrics = folder.lines("metrics.jsonl")?;
    let mut timings = folder.lines("timings.jsonl")?;
    let mut traces = if trace {
        Some(folder.lines("trace.jsonl")?)
    } else {
        None
    };
    let mut optimizer = AdamW::new(config.optimizer.adamw());
    let mut model = adapted.model.clone();
    let mut step = 0;
    let mut best: Option<State> = None;
    let mut last: Option<State> = None;
    let (mut training, mut evaluating) = (0.0, 0.0);
    let prepared = started.elapsed().as_secs_f64();
    progress.set_length(total as u64);

    for epoch in 1..=config.schedule.epochs {
        if step == total {
            break;
        }
        let clock = Instant::now();
        let key = Key::new(config.seed).purpose("data").fold(epoch as u64);
        let batches = plan_epoch(
            &lengths,
            config.schedule.batch_size,
            config.input.epoch_order(),
            key,
        );
        for micros in batches.chunks(config.schedule.accumulation) {
            if step == total {
                break;
            }
            step += 1;
            let rate = learning_rate(
                &config.schedule,
                config.optimizer.learning_rate,
                step,
                total,
            );
            let (moved, record) = trainer.step(model, &mut optimizer, step, rate, micros)?;
            model = moved;
            let mean = |part: fn(&super::trace::MicroTrace) -> Option<f64>| {
                let parts: Option<Vec<f64>> = record.micro.iter().map(part).collect();
                parts.map(|parts| parts.iter().sum::<f64>() / parts.len() as f64)
            };
            metrics.write(&json!({
                "step": step, "epoch": epoch, "lr": rate, "loss": record.loss, "task_loss": mean(|m| Some(m.task_loss)),
                "consistency_loss": mean(|m| m.consistency_loss), "grad_norm": record.grad_norm,
            }))?;
            if let Some(traces) = &mut traces {
                traces.write(&record)?;
            }
            progress.inc(1);
            progress.set_message(format!(
                "epoch {epoch}/{} loss {:.4}",
                config.schedule.epochs, record.loss
            ));
        }
        let seconds = clock.elapsed().as_secs_f64();
        training += seconds;
        timings.write(&json!({"epoch": epoch, "step": step, "training_seconds": seconds}))?;

        let clock = Instant::now();
        let state = measure.state(adapted.with_model(model.clone()), epoch, step)?;
        let seconds = clock.elapsed().as_secs_f64();
        evaluating += seconds;
        timings.write(&json!({"epoch": epoch, "step": step, "evaluation_seconds": seconds}))?;
        metrics.write(&json!({"step": step, "epoch": epoch, "split": "dev", "inference": measure.inference, "metrics": state.measured.metrics}))?;
        metrics.flush()?;
        timings.flush()?;
        if best
            .as_ref()
            .is_none_or(|best| measure.is_better(&state.measured.metrics, &best.measured.metrics))
        {
            best = Some(state.clone());
        }
        last = Some(state);
    }
    if let Some(traces) = &mut traces {
        traces.flush()?;
    }

    let last = last.expect("a run has an epoch");
    let best = best.expect("a run has an epoch");
    let rule = config.merging.rule()?;
    let merged_description = adapted.describe(config, &base, &data.task, true);
    let mut measured = Vec::new();
    for (name, state) in [("best", best), ("last", last)] {
        let adapted = adapted.with_values(state.values)?;
        adapted.save(&folder.file(&format!("adapter/{name}")), &description)?;
        let merged = adapted.with_model(adapted.model.merged(rule.as_ref())?);
        merged.save(&folder.file(&format!("merged/{name}")), &merged_description)?;
        let lines = folder.lines(&format!("predictions/{name}.jsonl"))?;
        state
            .predictions
            .write(&data.task, config.evaluation.regression_floor, lines)?;
        measured.push(state.measured);
    }
    let last = measured.pop().expect("two states");
    let best = measured.pop().expect("two states");

    let account = adapted.account();
    let result = RunResult {
        identity,
        task: data.task.name.clone(),
        method: config.adaptation.method.to_string(),
        selection: data.task.selection.name().to_owned(),
        inference: measure.inference,
        best,
        last,
        rows: BTreeMap::from([
            ("train".to_owned(), data.train.len()),
            ("dev".to_owned(), data.dev.len()),
        ]),
        parameters: account.into(),
        stored_bytes: account.stored_bytes(),
        seconds: BTreeMap::from([
            ("preparation".to_owned(), prepared),
            ("training".to_owned(), training),
            ("evaluation".to_owned(), evaluating),
            ("total".to_owned(), started.elapsed().as_secs_f64()),
        ]),
        device: device_name.to_owned(),
        unused_tensors: base.weights.unused(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    crate::plot::learning_curve(&folder)?;
    folder.finish(&result)?;
    Ok(Outcome {
        folder: path,
        result,
        repeated: false,
    })
}

/// A model's values and scores after an epoch.
#[derive(Clone)]
struct State {
    values: BTreeMap<String, HostTensor>,
    measured: Measured,
    predictions: Predictions,
}

/// The development splits, tokenised once.
struct Measure<'a> {
    config: &'a RunConfig,
    base: &'a Base,
    data: &'a TaskData,
    dev: Vec<Encoding>,
    further: BTreeMap<String, Vec<Encoding>>,
    device: &'a Device,
    inference: routing::Inference,
}

impl<'a> Measure<'a> {
    fn new(
        config: &'a RunConfig,
        base: &'a Base,
        data: &'a TaskData,
        max_length: usize,
        device: &'a Device,
        native: routing::Inference,
    ) -> Result<Self> {
        let mut further = BTreeMap::new();
        for (name, examples) in &data.further {
            further.insert(name.clone(), encode(&base.tokenizer, examples, max_length)?);
        }
        let dev = encode(&base.tokenizer, &data.dev, max_length)?;
        Ok(Self {
            config,
            base,
            data,
            dev,
            further,
            device,
            inference: config.evaluation.inference.resolve(native),
        })
    }

    fn state(&self, adapted: Adapted, epoch: usize, step: usize) -> Result<State> {
        let rule = self.config.merging.rule()?;
        let key = Key::new(self.config.seed)
            .purpose("inference")
            .fold(epoch as u64);
        let mode = Mode {
            policy: self.config.routing.policy()?,
            paths: self.config.evaluation.paths,
            inference: self.inference,
            rule: rule.as_ref(),
            key,
            batch_size: self.config.evaluation.batch_size,
        };
        let evaluator = Evaluator::new(&adapted.model, self.base, &mode, self.device)?;
        let floor = self.config.evaluation.regression_floor;
        let quiet = ProgressBar::hidden();
        let predictions = evaluator.predict(&self.data.dev, &self.dev, &quiet)?;
        let metrics = predictions.score(&self.data.task, &self.data.dev, floor);
        let mut further = BTreeMap::new();
        for (name, encodings) in &self.further {
            let examples = &self.data.further[name];
            let scored = evaluator.predict(examples, encodings, &quiet)?.score(
                &self.data.task,
                examples,
                floor,
            );
            further.insert(name.clone(), scored);
        }
        Ok(State {
            values: adapted.values(),
            measured: Measured {
                epoch,
                step,
                metrics,
                further,
            },
            predictions,
        })
    }

    /// Strictly better in the task's selection metric; the earliest of equals stays.
    fn is_better(&self, new: &Metrics, old: &Metrics) -> bool {
        let value = |metrics: &Metrics| {
            metrics
                .get(self.data.task.selection.name())
                .copied()
                .flatten()
        };
        value(new).unwrap_or(f64::NEG_INFINITY) > value(old).unwrap_or(f64::NEG_INFINITY)
    }
}
