//! What every kind of step does with its losses: gradients, clipping, update.

use std::collections::BTreeMap;

use adamix_core::objective::StepLoss;
use adamix_core::optimizer::{self, AdamW, NamedGradients};
use adamix_core::parameter::{self, HostTensor, Named};
use adamix_core::routing::Routes;
use adamix_models::hub::fault;
use anyhow::{Result, bail};

use super::trace::{MicroTrace, StepTrace};

/// What a micro-batch gives: its gradients, its loss and its trace.
pub type Micro = (NamedGradients, f64, MicroTrace);

/// Where a step is in the run: its number, from 1, its learning rate, and the bound on its gradients' norm (0
/// for none).
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub step: usize,
    pub rate: f64,
    pub max_grad_norm: f64,
}

/// Moves a model along the mean gradient of its micro-batches.
///
/// # Errors
/// If a loss or gradient is not finite; the model has not moved then.
pub fn update<M: Named>(
    model: M,
    optimizer: &mut AdamW,
    at: At,
    micros: &[Vec<u32>],
    micro: impl Fn(&M, usize, &[u32]) -> Result<Micro>,
) -> Result<(M, StepTrace)> {
    let At {
        step,
        rate,
        max_grad_norm,
    } = at;
    let weight = 1.0 / micros.len() as f64;
    let mut gradients = NamedGradients::new();
    let mut traces = Vec::new();
    let mut loss = 0.0;
    for (i, indices) in micros.iter().enumerate() {
        let (found, total, trace) = micro(&model, i, indices)?;
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
    if max_grad_norm > 0.0 {
        optimizer::clip_global_norm(&mut gradients, norm, max_grad_norm);
    }
    let model = optimizer.step(model, gradients, rate);
    let trace = StepTrace {
        step,
        lr: rate,
        micro: traces,
        loss,
        grad_norm: norm,
    };
    Ok((model, trace))
}

/// Differentiates the loss of a micro-batch of rows, made along `passes`.
///
/// # Errors
/// If it is not finite.
pub fn differentiate<M: Named>(
    model: &M,
    loss: StepLoss,
    step: usize,
    rows: Vec<u32>,
    passes: Vec<Routes>,
) -> Result<Micro> {
    let value = |loss: burn::tensor::Tensor<1>| f64::from(loss.into_scalar::<f32>());
    let task_loss = value(loss.task.clone());
    let consistency_loss = loss.consistency.clone().map(value);
    let auxiliary_loss = loss.auxiliary.clone().map(value);
    fault::point("micro");
    let total = match fault::strikes("loss") {
        true => f64::NAN,
        false => value(loss.total.clone()),
    };
    if !total.is_finite() {
        match parameter_not_finite(model) {
            Some(name) => bail!(
                "step {step}: the loss is {total}; `{name}` of the model holds a value that is not finite"
            ),
            None => bail!(
                "step {step}: the loss is {total} (rows {rows:?}); nothing was updated. A smaller optimizer.learning_rate may help"
            ),
        }
    }
    let mut tape = loss.total.backward();
    let found = parameter::gradients(model, &mut tape);
    let trace = MicroTrace {
        examples: rows,
        passes,
        task_loss,
        consistency_loss,
        auxiliary_loss,
    };
    Ok((found, total, trace))
}

/// The first parameter that holds a value which is not finite.
fn parameter_not_finite(model: &impl Named) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use adamix_core::linear::Linear;
    use adamix_core::optimizer::AdamWConfig;
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[derive(Module, Debug)]
    struct Model {
        map: Linear,
    }
    impl Named for Model {}

    #[test]
    fn a_gradient_that_is_no_number_is_named_and_moves_nothing() {
        let device = Device::flex();
        let map = Linear::from_values([1, 1], vec![1.0], None, &device);
        let mut optimizer = AdamW::new(AdamWConfig::default());
        let at = At {
            step: 3,
            rate: 0.1,
            max_grad_norm: 1.0,
        };
        let micro = |_: &Model, _: usize, _: &[u32]| {
            let gradient = Tensor::<1>::from_data([f32::NAN], &device);
            let trace = MicroTrace {
                examples: vec![0],
                passes: Vec::new(),
                task_loss: 0.5,
                consistency_loss: None,
                auxiliary_loss: None,
            };
            Ok((
                NamedGradients::from([("map.weight".to_owned(), gradient)]),
                0.5,
                trace,
            ))
        };
        let error = update(Model { map }, &mut optimizer, at, &[vec![0]], micro).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("step 3: the gradient is not finite, first in `map.weight`"),
            "{error}"
        );
    }
}
