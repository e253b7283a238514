//! How far a merged model is from the ensemble of the experts that it was made of.

use adamix_core::ensemble::mean_logits;
use adamix_core::routing::RoutingPolicy;
use anyhow::Result;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Serialize;

use super::candidates::Candidates;
use super::rows::{Answer, Rows, Tally};
use crate::run::Metrics;

/// How far one model's logits are from another's, over answers (rows, or predicted tokens).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Distance {
    /// The root of the mean square of the difference of a logit.
    pub logits: f64,
    /// The largest difference of a logit.
    pub largest: f64,
    /// The share of answers with the same largest logit; `None` for a regression.
    pub agreement: Option<f64>,
}

/// A merged model beside its experts and their ensemble, whose logits are the mean of the experts'.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Answers that were compared.
    pub answers: usize,
    /// Of the merged model from the ensemble.
    pub distance: Distance,
    /// The mean variance of a logit over the experts.
    pub expert_variance: f64,
    /// The merged model's scores.
    pub merged: Metrics,
    /// The ensemble's scores.
    pub ensemble: Metrics,
    /// Each expert's scores.
    pub experts: Vec<Metrics>,
    /// The model as its own policy runs it, where that is not merged: its scores, and how far the merged model
    /// is from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routed: Option<(Metrics, Distance)>,
}

/// Compares merged models of one mixture on all rows, the experts answering once. `routed` is the policy that the
/// experts were trained with, where it is not meant to be merged.
///
/// # Errors
/// If a row cannot be answered.
pub fn compare<R: Rows>(
    candidates: &Candidates<R::Model>,
    merged: &[R::Model],
    routed: Option<&dyn RoutingPolicy>,
    rows: &R,
    batch_size: usize,
    watch: &dyn Fn(u64),
) -> Result<Vec<Comparison>> {
    let experts: Vec<R::Model> = candidates.experts.iter().map(Module::valid).collect();
    let mixture = candidates.mixture.valid();
    let mut tallies = vec![Tally::default(); experts.len()];
    let (mut of_ensemble, mut of_routed) = (Tally::default(), Tally::default());
    let mut found = vec![Found::default(); merged.len()];
    let (mut variance, mut values) = (0.0, 0);
    for batch in rows.batches(batch_size) {
        let answers = experts
            .iter()
            .map(|expert| rows.answer(expert, &batch, None))
            .collect::<Result<Vec<_>>>()?;
        for (answer, tally) in answers.iter().zip(&mut tallies) {
            rows.count_in(tally, &batch, answer.logits.clone(), &answer.targets);
        }
        let logits: Vec<Tensor<2>> = answers.iter().map(|a| a.logits.clone()).collect();
        let ensemble = mean_logits(logits.clone());
        let targets = &answers[0].targets;
        rows.count_in(&mut of_ensemble, &batch, ensemble.clone(), targets);
        variance += (logits.into_iter())
            .map(|own| sum((own - ensemble.clone()).square()))
            .sum::<f64>()
            / experts.len() as f64;
        values += ensemble.dims().iter().product::<usize>();
        let native =
            (routed.map(|policy| rows.answer(&mixture, &batch, Some(policy)))).transpose()?;
        if let Some(Answer { logits, targets }) = &native {
            rows.count_in(&mut of_routed, &batch, logits.clone(), targets);
        }
        for (model, own) in merged.iter().zip(&mut found) {
            let Answer { logits, targets } = rows.answer(model, &batch, None)?;
            own.from_ensemble.add(logits.clone(), ensemble.clone());
            if let Some(native) = &native {
                own.from_routed.add(logits.clone(), native.logits.clone());
            }
            rows.count_in(&mut own.tally, &batch, logits, &targets);
        }
        watch(batch.len() as u64);
    }
    let ensemble = rows.metrics(of_ensemble);
    let experts: Vec<Metrics> = (tallies.into_iter())
        .map(|tally| rows.metrics(tally))
        .collect();
    let native = routed.map(|_| rows.metrics(of_routed));
    Ok(found
        .into_iter()
        .map(|own| Comparison {
            answers: own.from_ensemble.answers,
            expert_variance: variance / values.max(1) as f64,
            distance: own.from_ensemble.distance(),
            merged: rows.metrics(own.tally),
            ensemble: ensemble.clone(),
            experts: experts.clone(),
            routed: (native.clone()).map(|metrics| (metrics, own.from_routed.distance())),
        })
        .collect())
}

/// What is counted of one merged model.
#[derive(Clone, Debug, Default)]
struct Found {
    tally: Tally,
    from_ensemble: Sums,
    from_routed: Sums,
}

/// How far two models with one module a site are apart.
///
/// # Errors
/// If a row cannot be answered.
pub fn distance<R: Rows>(
    one: &R::Model,
    other: &R::Model,
    rows: &R,
    batch_size: usize,
) -> Result<Distance> {
    let mut sums = Sums::default();
    for batch in rows.batches(batch_size) {
        let answer = |model| rows.answer(model, &batch, None);
        sums.add(answer(one)?.logits, answer(other)?.logits);
    }
    Ok(sums.distance())
}

/// Sums over batches.
#[derive(Clone, Debug, Default)]
struct Sums {
    squares: f64,
    largest: f64,
    alike: usize,
    answers: usize,
    values: usize,
}

impl Sums {
    fn add(&mut self, one: Tensor<2>, other: Tensor<2>) {
        let [answers, outputs] = one.dims();
        let same = one.clone().argmax(1).equal(other.clone().argmax(1));
        self.alike += same.int().sum().into_scalar::<i64>() as usize;
        let difference = one - other;
        self.largest = self
            .largest
            .max(difference.clone().abs().max().into_scalar::<f32>().into());
        self.squares += sum(difference.square());
        self.answers += answers;
        self.values += answers * outputs;
    }

    fn distance(&self) -> Distance {
        let classes = self.values > self.answers;
        Distance {
            logits: (self.squares / self.values.max(1) as f64).sqrt(),
            largest: self.largest,
            agreement: classes.then(|| self.alike as f64 / self.answers as f64),
        }
    }
}

fn sum(tensor: Tensor<2>) -> f64 {
    tensor.sum().into_scalar::<f32>().into()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn distances_by_hand() {
        let tensor = |values: [[f32; 2]; 2]| Tensor::<2>::from_data(values, &Device::flex());
        let mut sums = Sums::default();
        sums.add(
            tensor([[1.0, 2.0], [0.0, 3.0]]),
            tensor([[1.0, 4.0], [5.0, 3.0]]),
        );
        let found = sums.distance();
        // Differences 0, -2, -5, 0; the second row's largest logit is another.
        assert!((found.logits - (29f64 / 4.0).sqrt()).abs() < 1e-6);
        assert_eq!((found.largest, found.agreement), (5.0, Some(0.5)));
    }
}
