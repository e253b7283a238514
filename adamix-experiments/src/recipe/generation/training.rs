//! Text generation with a decoder, as the driver trains it.

use adamix_core::optimizer::AdamW;
use adamix_core::routing::{Inference, Site};
use adamix_models::gpt2::Gpt2;
use adamix_models::hub::fault;
use anyhow::Result;

use super::super::adapted::Adapted;
use super::super::driver::{Micros, Training};
use super::super::mode::Mode;
use super::super::plan::Plan;
use super::super::trace::StepTrace;
use super::super::update::{At, update};
use super::measure::LossOn;
use super::step::Trainer;
use crate::config::MeasuredAfter;
use crate::interrupt::Interrupt;
use crate::run::{Measured, Metrics};

/// The metric that tells the best epoch.
pub const SELECTION: &str = "loss";

/// A data set's pairs on a decoder.
#[derive(Debug)]
pub struct TextGeneration<'a> {
    pub trainer: &'a Trainer<'a>,
    pub plan: Plan<'a>,
    /// Of the development split.
    pub dev: LossOn<'a>,
    /// How the mixture is run; what it draws differs by epoch.
    pub mode: Mode<'a>,
}

impl Training for TextGeneration<'_> {
    type Model = Gpt2;
    type Predictions = ();

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
        model: Gpt2,
        optimizer: &mut AdamW,
        step: usize,
        rate: f64,
        micros: &Micros,
    ) -> Result<(Gpt2, StepTrace)> {
        let at = At {
            step,
            rate,
            max_grad_norm: self.trainer.config.optimizer.max_grad_norm,
        };
        update(model, optimizer, at, micros, |model, micro, indices| {
            self.trainer.micro(model, step, micro, indices)
        })
    }

    fn measure(
        &self,
        model: &Adapted<Gpt2>,
        epoch: usize,
        step: usize,
        interrupt: &Interrupt,
    ) -> Result<(Measured, ())> {
        let mode = Mode {
            key: Mode::key_after(self.trainer.config, epoch),
            ..self.mode.clone()
        };
        let model = mode.ready(&model.model)?;
        let metrics = self.dev.measure(&model, &mode, &|_| {
            fault::point("measure");
            Ok(interrupt.check()?)
        })?;
        let measured = Measured {
            epoch,
            step,
            metrics,
            further: Default::default(),
        };
        Ok((measured, ()))
    }

    fn measures_each_epoch(&self) -> bool {
        self.trainer.config.evaluation.after == MeasuredAfter::Each
    }

    fn sites(&self) -> &[Site] {
        &self.trainer.sites
    }

    fn average(&self) -> Option<f64> {
        self.trainer.config.merging.average()
    }

    fn inference(&self) -> Option<Inference> {
        Some(self.mode.inference)
    }

    /// A lower loss; the earliest of equals stays.
    fn is_better(&self, new: &Metrics, best: Option<&Metrics>) -> bool {
        let value = |metrics: &Metrics| {
            let value = metrics.get(SELECTION).copied().flatten();
            value.unwrap_or(f64::INFINITY)
        };
        best.is_none_or(|best| value(new) < value(best))
    }
}
