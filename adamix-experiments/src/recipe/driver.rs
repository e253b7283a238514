//! The loop of every kind of run: epochs of steps, each epoch measured, all of it saved now and then.

use std::path::Path;
use std::time::Instant;

use adamix_core::merging::Average;
use adamix_core::optimizer::AdamW;
use adamix_core::parameter::{self, Named, ParameterInfo};
use adamix_core::routing::{Inference, Site, Usage};
use adamix_models::hub::fault;
use anyhow::Result;
use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::adapted::Adapted;
use super::records::Records;
use super::sitting::Sitting;
use super::trace::StepTrace;
use crate::checkpoint::{Clocks, Kept, Position, State, Store};
use crate::config;
use crate::interrupt::{Interrupt, Interrupted, Stopped};
use crate::run::{Measured, Metrics};

/// The micro-batches of one step, each of indices into the training rows.
pub type Micros = Vec<Vec<u32>>;

/// What a run trains. All of it is a function of the run's seed and the arguments, so that a run can stop
/// between any two steps.
pub trait Training {
    /// The model that moves.
    type Model: Named + Clone;
    /// What a measurement leaves beside its scores, such as a line for every row.
    type Predictions: Clone + Serialize + DeserializeOwned;

    /// Passes over the training rows.
    fn epochs(&self) -> usize;

    /// Steps of the whole run; the last epoch ends with the last step.
    fn steps(&self) -> usize;

    /// Where a run goes on whose checkpoint says this, with steps left: another number of steps may mean other epochs.
    fn at(&self, position: Position) -> Position {
        position
    }

    /// What the steps of an epoch (from 1) read, in order.
    fn epoch(&self, epoch: usize) -> Vec<Micros>;

    /// The learning rate of a step (from 1).
    fn rate(&self, step: usize) -> f64;

    /// Takes one step (from 1).
    ///
    /// # Errors
    /// If a loss or gradient is not finite; nothing has moved then.
    fn step(
        &self,
        model: Self::Model,
        optimizer: &mut AdamW,
        step: usize,
        rate: f64,
        micros: &Micros,
    ) -> Result<(Self::Model, StepTrace)>;

    /// Measures the model as it is after an epoch; looks at `interrupt` between its batches.
    fn measure(
        &self,
        model: &Adapted<Self::Model>,
        epoch: usize,
        step: usize,
        interrupt: &Interrupt,
    ) -> Result<(Measured, Self::Predictions)>;

    /// Whether every epoch is measured, or the last alone.
    fn measures_each_epoch(&self) -> bool {
        true
    }

    /// The mixtures that a policy decides for.
    fn sites(&self) -> &[Site] {
        &[]
    }

    /// The decay of an average over the steps, which is then what is measured and kept.
    fn average(&self) -> Option<f64> {
        None
    }

    /// How the model is run when it is measured, where there is a choice.
    fn inference(&self) -> Option<Inference>;

    /// Whether these scores are better than the best so far, which are `None` after the first epoch.
    fn is_better(&self, new: &Metrics, best: Option<&Metrics>) -> bool;
}

/// A run at its end.
#[derive(Debug)]
pub struct Finished<P> {
    /// The best measured state, where the training told one better.
    pub best: Option<Kept<P>>,
    /// The state after the last step.
    pub last: Kept<P>,
    /// How often each expert ran in training.
    pub usage: Usage,
    /// What it took.
    pub clocks: Clocks,
}

/// The loop, and what it needs.
#[derive(Debug)]
pub struct Driver<'a, T: Training> {
    /// What is trained.
    pub training: &'a T,
    /// The run's folder.
    pub run: &'a Path,
    /// Its checkpoint.
    pub store: &'a mut Store,
    /// How often it is saved.
    pub every: &'a config::Checkpoint,
    /// How it is carried out.
    pub sitting: &'a Sitting,
    /// Where it computes.
    pub device: &'a Device,
    /// The model before the first step.
    pub initial: &'a Adapted<T::Model>,
    /// Whether long work follows the last step, such as decoding, a stop in which must find the training saved.
    pub work_follows: bool,
}

/// What changes while a run is under way, beside its model.
struct Course<P> {
    optimizer: AdamW,
    state: State<P>,
    records: Records,
    saved: Instant,
}

impl<P> Course<P> {
    /// Books the time that an epoch's steps took.
    fn trained(&mut self, at: Position) -> Result<()> {
        let seconds = core::mem::take(&mut self.state.clocks.epoch);
        self.state.clocks.training += seconds;
        self.records.took(at, "training_seconds", seconds)
    }
}

impl<T: Training> Driver<'_, T> {
    /// Trains to the end, from the checkpoint if there is one. `started` is when the run's preparation began.
    ///
    /// # Errors
    /// If a step fails, a file cannot be written, or a stop is asked for ([`Stopped`]).
    pub fn run(mut self, optimizer: AdamW, started: Instant) -> Result<Finished<T::Predictions>> {
        let (mut model, mut course) = self.begin(optimizer)?;
        course.state.clocks.preparation += started.elapsed().as_secs_f64();
        // What reading the model and the data has left.
        adamix_kernels::release_freed_memory();
        while !self.is_at_end(course.state.position) {
            model = self.train_epoch(model, &mut course)?;
            self.measure_epoch(&model, &mut course)?;
        }
        if course.state.last.is_none() {
            // It went on from a longer plan, at whose end nothing was to be kept.
            course.state.position.epoch -= 1;
            self.measure_epoch(&model, &mut course)?;
        }
        // What follows may be long, and a stop then must not cost the training.
        match self.work_follows || self.every.steps > 0 || self.every.minutes > 0.0 {
            true => self.save(&model, &mut course)?,
            false => drop(course.records.settle()?),
        }
        Ok(Finished {
            best: course.state.best,
            last: course.state.last.expect("a run has an epoch"),
            usage: course.state.usage,
            clocks: course.state.clocks,
        })
    }

    fn begin(&mut self, mut optimizer: AdamW) -> Result<(T::Model, Course<T::Predictions>)> {
        let trained = |name: &str| self.initial.trains(name);
        let model = &self.initial.model;
        let saved = self
            .store
            .restore(model, trained, &mut optimizer, self.device)?;
        let trace = self.sitting.trace;
        let (model, state, records) = match saved {
            Some(saved) => {
                let records = Records::resume(self.run, trace, &saved.lengths)?;
                let mut state = saved.state;
                if state.position.step < self.training.steps() {
                    state.position = self.training.at(state.position);
                }
                (saved.model, state, records)
            }
            None => {
                let records = Records::create(self.run, trace)?;
                let state = State {
                    average: self.training.average().map(Average::new),
                    ..State::default()
                };
                (model.clone(), state, records)
            }
        };
        self.sitting
            .progress
            .set_length(self.training.steps() as u64);
        let course = Course {
            optimizer,
            state,
            records,
            saved: Instant::now(),
        };
        Ok((model, course))
    }

    /// Whether the last epoch is measured.
    fn is_at_end(&self, at: Position) -> bool {
        at.epoch > self.training.epochs() || (at.done == 0 && at.step >= self.training.steps())
    }

    /// Takes the steps of the epoch that are left.
    fn train_epoch(
        &mut self,
        mut model: T::Model,
        course: &mut Course<T::Predictions>,
    ) -> Result<T::Model> {
        let epoch = course.state.position.epoch;
        let plan = self.training.epoch(epoch);
        for micros in plan.iter().skip(course.state.position.done) {
            if course.state.position.step >= self.training.steps() {
                break;
            }
            let clock = Instant::now();
            let step = course.state.position.step + 1;
            let rate = self.training.rate(step);
            let (moved, record) =
                self.training
                    .step(model, &mut course.optimizer, step, rate, micros)?;
            model = moved;
            if let Some(average) = &mut course.state.average {
                let trained = |info: &ParameterInfo| self.initial.trains(&info.name);
                average.update(parameter::export(&model, trained));
            }
            course.records.step(epoch, &record)?;
            for routes in record.micro.iter().flat_map(|micro| &micro.passes) {
                course.state.usage.record(routes, self.training.sites());
            }
            course.state.position.step = step;
            course.state.position.done += 1;
            course.state.clocks.epoch += clock.elapsed().as_secs_f64();
            self.show(epoch, step, record.loss);
            fault::point("step");

            let due = self.every.steps > 0 && step.is_multiple_of(self.every.steps);
            if due || self.is_time(course) {
                self.save(&model, course)?;
            }
            if let Some(signal) = self.sitting.interrupt.asked() {
                return Err(self.stop(signal, &model, course)?.into());
            }
        }
        Ok(model)
    }

    /// Measures the epoch that was trained, if it is to be, and goes to the next.
    fn measure_epoch(
        &mut self,
        model: &T::Model,
        course: &mut Course<T::Predictions>,
    ) -> Result<()> {
        let at = course.state.position;
        let next = Position {
            epoch: at.epoch + 1,
            done: 0,
            step: at.step,
        };
        if !self.training.measures_each_epoch() && !self.is_at_end(next) {
            course.trained(at)?;
            course.state.position = next;
            return Ok(());
        }
        let clock = Instant::now();
        let adapted = match &course.state.average {
            Some(average) => self.initial.with_values(average.values().clone())?,
            None => self.initial.with_model(model.clone()),
        };
        let interrupt = &self.sitting.interrupt;
        let outcome = self
            .training
            .measure(&adapted, at.epoch, at.step, interrupt);
        let (measured, predictions) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => match error.downcast_ref::<Interrupted>() {
                Some(Interrupted(signal)) => {
                    return Err(self.stop(signal, model, course)?.into());
                }
                None => return Err(error),
            },
        };
        let seconds = clock.elapsed().as_secs_f64();
        course.trained(at)?;
        let Course { state, records, .. } = course;
        state.clocks.evaluation += seconds;
        records.took(at, "evaluation_seconds", seconds)?;
        records.measured(&measured, self.training.inference())?;

        let kept = Kept {
            values: adapted.values(),
            measured,
            predictions,
        };
        let best = state.best.as_ref().map(|best| &best.measured.metrics);
        if self.training.is_better(&kept.measured.metrics, best) {
            state.best = Some(kept.clone());
        }
        state.position = next;
        if self.is_at_end(state.position) {
            state.last = Some(kept);
        }
        fault::point("epoch");
        if self.is_time(course) {
            self.save(model, course)?;
        }
        Ok(())
    }

    /// Whether it is long since the run was saved.
    fn is_time(&self, course: &Course<T::Predictions>) -> bool {
        let minutes = course.saved.elapsed().as_secs_f64() / 60.0;
        self.every.minutes > 0.0 && minutes >= self.every.minutes
    }

    fn save(&mut self, model: &T::Model, course: &mut Course<T::Predictions>) -> Result<()> {
        let lengths = course.records.settle()?;
        let trained = |name: &str| self.initial.trains(name);
        let Course {
            optimizer, state, ..
        } = course;
        self.store.save(model, trained, optimizer, state, lengths)?;
        course.saved = Instant::now();
        Ok(())
    }

    /// Saves, and tells what the run stops with.
    fn stop(
        &mut self,
        signal: &'static str,
        model: &T::Model,
        course: &mut Course<T::Predictions>,
    ) -> Result<Stopped> {
        self.save(model, course)?;
        self.sitting.progress.finish_and_clear();
        Ok(Stopped {
            signal,
            step: course.state.position.step,
            steps: self.training.steps(),
        })
    }

    fn show(&self, epoch: usize, step: usize, loss: f64) {
        let epochs = self.training.epochs();
        let progress = &self.sitting.progress;
        progress.set_position(step as u64);
        progress.set_message(format!("epoch {epoch}/{epochs} loss {loss:.4}"));
    }
}
