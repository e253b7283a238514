//! Language modelling as the driver trains it. An epoch of the driver is the stretch between two points of the
//! curve, whatever part of the corpus it reads.

use std::collections::BTreeMap;

use adamix_core::objective::Targets;
use adamix_core::optimizer::{self, AdamW};
use adamix_core::parameter;
use adamix_core::routing::Inference;
use adamix_models::hub::fault;
use anyhow::{Result, bail};
use burn::tensor::Device;

use super::config::PretrainConfig;
use super::measure::Measure;
use super::model::LanguageModel;
use super::order::Plan;
use crate::checkpoint::Position;
use crate::interrupt::Interrupt;
use crate::recipe::{Adapted, MicroTrace, Micros, StepTrace, Training};
use crate::run::{Measured, Metrics};

/// A corpus and a model that learns to predict it.
pub(super) struct Pretraining<'a, M: LanguageModel> {
    pub config: &'a PretrainConfig,
    pub dimensions: &'a M::Dimensions,
    pub plan: Plan<'a>,
    pub measure: &'a Measure<'a, M>,
    /// The rows that are measured.
    pub held_out: &'a [u32],
    pub device: &'a Device,
}

impl<M: LanguageModel> Training for Pretraining<'_, M> {
    type Model = M;
    type Predictions = ();

    fn epochs(&self) -> usize {
        self.steps().div_ceil(self.config.training.checkpoint_steps)
    }

    fn steps(&self) -> usize {
        self.config.training.steps
    }

    fn epoch(&self, epoch: usize) -> Vec<Micros> {
        let stretch = self.config.training.checkpoint_steps;
        let last = (epoch * stretch).min(self.steps());
        let steps = self.plan.rows((epoch - 1) * stretch + 1..=last);
        steps.into_iter().map(|rows| vec![rows]).collect()
    }

    fn at(&self, position: Position) -> Position {
        let stretch = self.config.training.checkpoint_steps;
        if position.done > 0 {
            // Not measured yet.
            return position;
        }
        Position {
            epoch: position.step / stretch + 1,
            done: position.step % stretch,
            step: position.step,
        }
    }

    fn rate(&self, step: usize) -> f64 {
        self.config.training.rate(step)
    }

    fn step(
        &self,
        model: M,
        optimizer: &mut AdamW,
        step: usize,
        rate: f64,
        micros: &Micros,
    ) -> Result<(M, StepTrace)> {
        let rows = micros.concat();
        let batch = self.plan.batch(step, &rows);
        let tokens = self.config.training.tokens;
        let logits = model.logits(self.dimensions, &batch, tokens, self.device);
        let loss = Targets::Classes(batch.labels).loss(logits);
        fault::point("micro");
        let value = match fault::strikes("loss") {
            true => f64::NAN,
            false => f64::from(loss.clone().into_scalar::<f32>()),
        };
        if !value.is_finite() {
            bail!("step {step}: the loss is {value}; lower `training.learning_rate`");
        }
        let mut tape = loss.backward();
        let mut gradients = parameter::gradients(&model, &mut tape);
        let norm = optimizer::global_norm(&gradients);
        if !norm.is_finite() {
            bail!(
                "step {step}: the norm of the gradient is {norm}; lower `training.learning_rate`"
            );
        }
        optimizer::clip_global_norm(&mut gradients, norm, self.config.training.max_grad_norm);
        let model = optimizer.step(model, gradients, rate);
        let micro = MicroTrace {
            examples: rows,
            passes: Vec::new(),
            task_loss: value,
            consistency_loss: None,
            auxiliary_loss: None,
        };
        let record = StepTrace {
            step,
            lr: rate,
            micro: vec![micro],
            loss: value,
            grad_norm: norm,
        };
        Ok((model, record))
    }

    fn measure(
        &self,
        model: &Adapted<M>,
        epoch: usize,
        step: usize,
        _interrupt: &Interrupt,
    ) -> Result<(Measured, ())> {
        fault::point("measure");
        let rows = self.plan.rows;
        let measured = self
            .measure
            .run("corpus", &model.model, rows, self.held_out);
        let metrics = BTreeMap::from([("loss".to_owned(), Some(measured.loss))]);
        let further = BTreeMap::new();
        let measured = Measured {
            epoch,
            step,
            metrics,
            further,
        };
        Ok((measured, ()))
    }

    fn inference(&self) -> Option<Inference> {
        None
    }

    /// A pretraining is what it is at its end: no other state is kept.
    fn is_better(&self, _new: &Metrics, _best: Option<&Metrics>) -> bool {
        false
    }
}
