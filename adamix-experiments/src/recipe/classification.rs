//! Classification and regression with an encoder, as the driver trains it.

use std::collections::BTreeMap;

use adamix_core::merging::MergeRule;
use adamix_core::optimizer::AdamW;
use adamix_core::routing::{Inference, Site};
use adamix_data::Encoding;
use adamix_models::encoder::SequenceClassifier;
use adamix_models::hub::fault;
use anyhow::Result;
use burn::tensor::Device;

use super::adapted::Adapted;
use super::base::Base;
use super::data::TaskData;
use super::driver::{Micros, Training};
use super::evaluate::{Evaluator, Predictions};
use super::mode::Mode;
use super::plan::Plan;
use super::step::Trainer;
use super::trace::StepTrace;
use crate::config::{MeasuredAfter, RunConfig};
use crate::interrupt::Interrupt;
use crate::run::{Measured, Metrics};

/// A task's rows on an encoder.
#[derive(Debug)]
pub struct Classification<'a> {
    config: &'a RunConfig,
    trainer: &'a Trainer<'a>,
    measure: &'a Measure<'a>,
    plan: Plan<'a>,
}

impl<'a> Classification<'a> {
    /// What takes the steps and what measures them, put together.
    pub fn new(config: &'a RunConfig, trainer: &'a Trainer<'a>, measure: &'a Measure<'a>) -> Self {
        let lengths = trainer.encodings.iter().map(|e| e.len() as u32).collect();
        Self {
            config,
            trainer,
            measure,
            plan: Plan::new(config, lengths),
        }
    }
}

impl Training for Classification<'_> {
    type Model = SequenceClassifier;
    type Predictions = Predictions;

    fn epochs(&self) -> usize {
        self.plan.epochs()
    }

    fn steps(&self) -> usize {
        self.plan.steps()
    }

    fn epoch(&self, epoch: usize) -> Vec<Micros> {
        self.plan.epoch(epoch)
    }

    fn rate(&self, step: usize) -> f64 {
        self.plan.rate(step)
    }

    fn step(
        &self,
        model: SequenceClassifier,
        optimizer: &mut AdamW,
        step: usize,
        rate: f64,
        micros: &Micros,
    ) -> Result<(SequenceClassifier, StepTrace)> {
        self.trainer.step(model, optimizer, step, rate, micros)
    }

    fn measure(
        &self,
        model: &Adapted<SequenceClassifier>,
        epoch: usize,
        step: usize,
        interrupt: &Interrupt,
    ) -> Result<(Measured, Predictions)> {
        self.measure.run(model, epoch, step, interrupt)
    }

    fn measures_each_epoch(&self) -> bool {
        self.config.evaluation.after == MeasuredAfter::Each
    }

    fn sites(&self) -> &[Site] {
        &self.trainer.sites
    }

    fn average(&self) -> Option<f64> {
        self.config.merging.average()
    }

    fn inference(&self) -> Option<Inference> {
        Some(self.measure.inference)
    }

    /// Strictly better in the task's selection metric; the earliest of equals stays.
    fn is_better(&self, new: &Metrics, best: Option<&Metrics>) -> bool {
        let selection = self.measure.data.task.selection.name();
        let value = |metrics: &Metrics| {
            let value = metrics.get(selection).copied().flatten();
            value.filter(|v| !v.is_nan()).unwrap_or(f64::NEG_INFINITY)
        };
        best.is_none_or(|best| value(new) > value(best))
    }
}

/// The development splits, tokenised once.
#[derive(Debug)]
pub struct Measure<'a> {
    config: &'a RunConfig,
    base: &'a Base,
    data: &'a TaskData,
    dev: Vec<Encoding>,
    further: BTreeMap<String, Vec<Encoding>>,
    device: &'a Device,
    rule: &'a dyn MergeRule,
    /// How the mixture is run.
    pub inference: Inference,
}

impl<'a> Measure<'a> {
    /// Tokenises the splits. `native` is the routing policy's own inference.
    pub fn new(
        config: &'a RunConfig,
        base: &'a Base,
        data: &'a TaskData,
        device: &'a Device,
        rule: &'a dyn MergeRule,
        native: Inference,
    ) -> Result<Self> {
        let mut further = BTreeMap::new();
        for (name, examples) in &data.further {
            further.insert(name.clone(), base.read(config, &data.task, examples)?);
        }
        Ok(Self {
            config,
            base,
            data,
            dev: base.read(config, &data.task, &data.dev)?,
            further,
            device,
            rule,
            inference: config.evaluation.inference.resolve(native),
        })
    }

    /// Scores and predictions of a model after an epoch.
    fn run(
        &self,
        model: &Adapted<SequenceClassifier>,
        epoch: usize,
        step: usize,
        interrupt: &Interrupt,
    ) -> Result<(Measured, Predictions)> {
        let key = Mode::key_after(self.config, epoch);
        let mode = Mode::of(self.config, self.rule, key)?;
        let evaluator = Evaluator::new(&model.model, self.base, &mode, self.device)?;
        let floor = self.config.evaluation.regression_floor;
        let task = &self.data.task;
        let watch = |_| {
            fault::point("measure");
            Ok(interrupt.check()?)
        };
        let predictions = evaluator.predict(&self.data.dev, &self.dev, &watch)?;
        let metrics = predictions.score(task, &self.data.dev, floor);
        let mut further = BTreeMap::new();
        for (name, encodings) in &self.further {
            let examples = &self.data.further[name];
            let predictions = evaluator.predict(examples, encodings, &watch)?;
            further.insert(name.clone(), predictions.score(task, examples, floor));
        }
        let measured = Measured {
            epoch,
            step,
            metrics,
            further,
        };
        Ok((measured, predictions))
    }
}
