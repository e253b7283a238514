//! One optimiser step: routes, passes, loss, gradients, clipping, update.

use std::collections::BTreeMap;

use adamix_core::objective::StepLoss;
use adamix_core::optimizer::{self, AdamW, NamedGradients};
use adamix_core::parameter::{self, HostTensor};
use adamix_core::routing::{Moment, RoutedPass, RoutingPolicy, Site, auxiliary_loss};
use adamix_data::{Batch, Encoding, Example, Task, collate};
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, EncoderInput, SequenceClassifier};
use adamix_models::hub::fault;
use adamix_models::pass::{Pass, PassDropout};
use anyhow::{Result, bail};
use burn::tensor::Device;

use super::data::targets;
use super::trace::{MicroTrace, StepTrace};
use crate::config::{Pad, RunConfig};

/// All that a step reads.
#[derive(Debug)]
pub struct Trainer<'a> {
    pub config: &'a RunConfig,
    pub encoder: &'a EncoderConfig,
    pub task: &'a Task,
    pub examples: &'a [Example],
    pub encodings: &'a [Encoding],
    pub pad_id: u32,
    pub max_length: usize,
    pub policy: &'a dyn RoutingPolicy,
    pub sites: Vec<Site>,
    pub device: &'a Device,
}

/// A batch on the device.
pub fn input(encoder: &EncoderConfig, batch: &Batch, device: &Device) -> EncoderInput {
    EncoderInput::new(
        encoder,
        &batch.ids,
        &batch.type_ids,
        &batch.mask,
        batch.seq,
        device,
    )
}

impl Trainer<'_> {
    /// Runs one step over micro-batches of indices into the examples, and moves the model.
    ///
    /// # Errors
    /// If a loss or gradient is not finite; the model has not moved then.
    pub fn step(
        &self,
        model: SequenceClassifier,
        optimizer: &mut AdamW,
        step: usize,
        learning_rate: f64,
        micros: &[Vec<u32>],
    ) -> Result<(SequenceClassifier, StepTrace)> {
        let weight = 1.0 / micros.len() as f64;
        let mut gradients = NamedGradients::new();
        let mut traces = Vec::new();
        let mut loss = 0.0;
        for (micro, indices) in micros.iter().enumerate() {
            let (found, total, trace) = self.micro(&model, step, micro, indices)?;
            optimizer::accumulate(&mut gradients, found, weight);
            loss += weight * total;
            traces.push(trace);
        }
        let norm = optimizer::global_norm(&gradients);
        if !norm.is_finite() {
            bail!(
                "step {step}: the gradient is not finite, first in {}; nothing was updated. A smaller optimizer.learning_rate may help",
                first_not_finite(&gradients)
            );
        }
        let limit = self.config.optimizer.max_grad_norm;
        if limit > 0.0 {
            optimizer::clip_global_norm(&mut gradients, norm, limit);
        }
        let model = optimizer.step(model, gradients, learning_rate);
        Ok((
            model,
            StepTrace {
                step,
                lr: learning_rate,
                micro: traces,
                loss,
                grad_norm: norm,
            },
        ))
    }

    fn micro(
        &self,
        model: &SequenceClassifier,
        step: usize,
        micro: usize,
        indices: &[u32],
    ) -> Result<(NamedGradients, f64, MicroTrace)> {
        let rows: Vec<&Example> = indices
            .iter()
            .map(|i| &self.examples[*i as usize])
            .collect();
        let tokens: Vec<(u32, &Encoding)> = indices
            .iter()
            .map(|i| (self.examples[*i as usize].id, &self.encodings[*i as usize]))
            .collect();
        let pad_to = (self.config.input.pad == Pad::Max).then_some(self.max_length);
        let batch = collate(&tokens, self.pad_id, pad_to);
        let targets = targets(self.task, &rows)?;
        let input = input(self.encoder, &batch, self.device);
        let two = self.config.consistency.wants_second_pass(&targets) && self.is_random();
        let (mut logits, mut passes) = (Vec::new(), Vec::new());
        for pass in 0..if two { 2 } else { 1 } {
            let moment = self.moment(step, micro, pass);
            let routed = RoutedPass::new(self.policy, moment, &batch.rows, true);
            logits.push(model.forward(&input, &self.pass(step, pass, &routed, &batch.rows)));
            passes.push(routed.into_routes());
        }
        let mut logits = logits.into_iter();
        let first = logits.next().expect("a step has a pass");
        let loss = StepLoss::new(&self.config.consistency, &targets, first, logits.next());
        let loss = loss.with_auxiliary(passes.iter().map(auxiliary_loss));
        let task_loss = f64::from(loss.task.clone().into_scalar::<f32>());
        let consistency_loss = loss
            .consistency
            .clone()
            .map(|l| f64::from(l.into_scalar::<f32>()));
        let auxiliary_loss = loss.auxiliary.map(|l| f64::from(l.into_scalar::<f32>()));
        fault::point("micro");
        let total = match fault::strikes("loss") {
            true => f64::NAN,
            false => f64::from(loss.total.clone().into_scalar::<f32>()),
        };
        if !total.is_finite() {
            match parameter_not_finite(model) {
                Some(name) => bail!(
                    "step {step}: the loss is {total}; `{name}` of the model holds a value that is not finite"
                ),
                None => bail!(
                    "step {step}: the loss is {total} (rows {:?}); nothing was updated. A smaller optimizer.learning_rate may help",
                    batch.rows
                ),
            }
        }
        let mut tape = loss.total.backward();
        let found = parameter::gradients(model, &mut tape);
        let trace = MicroTrace {
            examples: batch.rows,
            passes,
            task_loss,
            consistency_loss,
            auxiliary_loss,
        };
        Ok((found, total, trace))
    }

    /// Whether a second pass would differ from the first at all.
    fn is_random(&self) -> bool {
        self.config.backbone.dropout > 0.0 || !self.sites.is_empty()
    }

    fn moment(&self, step: usize, micro: usize, pass: usize) -> Moment {
        Moment {
            root: Key::new(self.config.seed).purpose("routing"),
            step: step as u64,
            micro: micro as u64,
            pass: pass as u64,
        }
    }

    fn pass<'b>(
        &self,
        step: usize,
        pass: usize,
        routed: &'b RoutedPass<'b>,
        rows: &'b [u32],
    ) -> Pass<'b> {
        let key = Key::new(self.config.seed)
            .purpose("dropout")
            .fold(step as u64)
            .fold(pass as u64);
        // Every place knows its own rate.
        let dropout = Some(PassDropout {
            key,
            examples: rows,
        });
        Pass {
            dropout,
            ..Pass::routed(routed)
        }
    }
}

/// The first parameter that holds a value which is not finite.
fn parameter_not_finite(model: &SequenceClassifier) -> Option<String> {
    let bad = |tensor: &HostTensor| tensor.values.iter().any(|v| !v.is_finite());
    parameter::export(model, |_| true)
        .into_iter()
        .find_map(|(name, tensor)| bad(&tensor).then_some(name))
}

fn first_not_finite(gradients: &NamedGradients) -> String {
    let sums: BTreeMap<&String, f32> = gradients
        .iter()
        .map(|(n, g)| (n, g.clone().square().sum().into_scalar::<f32>()))
        .collect();
    let name = sums
        .into_iter()
        .find(|(_, sum)| !sum.is_finite())
        .map(|(name, _)| name.clone());
    name.map_or("their sum".to_owned(), |name| format!("`{name}`"))
}
