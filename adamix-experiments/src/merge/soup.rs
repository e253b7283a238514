//! Soups: which experts the mean is taken over, or with which weights, so that held-out rows are answered best.

use std::collections::{BTreeMap, BTreeSet};

use adamix_core::merging::{Weighted, greedy_soup};
use adamix_core::options::{OptionError, not_negative};
use adamix_core::parameter::{self, HostTensor, ParameterInfo};
use adamix_keys::Key;
use anyhow::{Result, ensure};
use serde::Deserialize;

use super::candidates::{Candidates, Parameter};
use super::fisher::in_file_layout;
use super::rows::Rows;

/// The experts of a greedy soup, in the order in which they entered ([`greedy_soup`]).
///
/// # Errors
/// If a row cannot be answered.
pub fn greedy<R: Rows>(
    candidates: &Candidates<R::Model>,
    rows: &R,
    batch_size: usize,
    watch: &dyn Fn(u64),
) -> Result<Vec<usize>> {
    let count = candidates.experts.len();
    greedy_soup(count, |chosen| {
        let model = candidates.merged(&Weighted::subset(chosen, count))?;
        let metrics = rows.score(&model, batch_size)?;
        watch(rows.count() as u64);
        Ok(rows.goodness(&metrics))
    })
}

/// Learned soup (Wortsman et al. 2022): weights of the experts that minimise the task's loss, by gradient descent
/// on their logits (softmax), from the mean on.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnedSoup {
    /// Steps of Adam, a batch each.
    pub steps: usize,
    /// Its rate.
    pub learning_rate: f64,
    /// Weights for each module, else one for all.
    pub per_module: bool,
}

impl Default for LearnedSoup {
    fn default() -> Self {
        Self {
            steps: 100,
            learning_rate: 0.05,
            per_module: true,
        }
    }
}

impl LearnedSoup {
    /// Refuses settings that are out of range.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<(), OptionError> {
        not_negative("learning_rate", self.learning_rate)
    }
}

/// The weights that a learned soup finds.
///
/// # Errors
/// If a row cannot be answered, or the loss is not finite.
pub fn learned<R: Rows>(
    candidates: &Candidates<R::Model>,
    rows: &R,
    batch_size: usize,
    settings: &LearnedSoup,
    key: Key,
    watch: &dyn Fn(u64),
) -> Result<Weighted> {
    let ingredients = Ingredients::new(candidates, settings.per_module);
    let count = candidates.experts.len();
    let mut shares: BTreeMap<&str, Logits> = (ingredients.groups.values())
        .map(|group| (group.as_str(), Logits::new(count)))
        .collect();
    let mut batches: Vec<Vec<u32>> = Vec::new();
    for step in 1..=settings.steps {
        if batches.is_empty() {
            batches = rows.batches(batch_size);
            key.fold(step as u64).shuffle(&mut batches);
        }
        let batch = batches.pop().expect("there are rows");
        let weights: BTreeMap<&str, Vec<f64>> = shares
            .iter()
            .map(|(group, l)| (*group, l.weights()))
            .collect();
        let model = parameter::assign(candidates.experts[0].clone(), ingredients.mixed(&weights))?;
        let answer = rows.answer(&model, &batch, None)?;
        let loss = answer.targets.loss(answer.logits);
        let value = loss.clone().into_scalar::<f32>();
        ensure!(
            value.is_finite(),
            "learned soup, step {step}: the loss is {value}"
        );
        let gradients = parameter::gradients(&model, &mut loss.backward());
        let mut slopes: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, gradient) in gradients {
            let Some(group) = ingredients.groups.get(&name) else {
                continue;
            };
            let data = gradient.into_data().convert::<f32>();
            let values = data.try_into_vec().expect("f32 values");
            let gradient = in_file_layout(&ingredients.infos[&name], values);
            let slope = slopes.entry(group).or_insert_with(|| vec![0.0; count]);
            for (sum, expert) in slope.iter_mut().zip(&ingredients.experts) {
                let pairs = gradient.iter().zip(&expert[&name].values);
                *sum += pairs
                    .map(|(g, v)| f64::from(*g) * f64::from(*v))
                    .sum::<f64>();
            }
        }
        for (group, slope) in slopes {
            let logits = shares.get_mut(group).expect("a group has logits");
            logits.step(&slope, settings.learning_rate);
        }
        watch(batch.len() as u64);
    }
    let found = shares
        .into_iter()
        .map(|(group, l)| (group.to_owned(), l.weights()));
    let mut found: BTreeMap<String, Vec<f64>> = found.collect();
    let everywhere = match settings.per_module {
        true => vec![1.0 / count as f64; count],
        false => found.remove(EVERYWHERE).unwrap_or_default(),
    };
    Ok(Weighted {
        weights: everywhere,
        places: found,
    })
}

/// The one group of a soup without weights for each module.
const EVERYWHERE: &str = "";

/// What differs between the experts, by name.
struct Ingredients {
    experts: Vec<BTreeMap<String, HostTensor>>,
    infos: BTreeMap<String, ParameterInfo>,
    /// Which weights mix a parameter.
    groups: BTreeMap<String, String>,
}

impl Ingredients {
    fn new<M: adamix_models::site::Adaptable>(
        candidates: &Candidates<M>,
        per_module: bool,
    ) -> Self {
        let values = |model: &M| parameter::export(model, |info| info.trainable);
        let mut experts: Vec<BTreeMap<String, HostTensor>> =
            candidates.experts.iter().map(values).collect();
        let differs = |name: &String| experts.iter().any(|e| e[name] != experts[0][name]);
        let names: BTreeSet<String> = experts[0].keys().filter(|n| differs(n)).cloned().collect();
        for expert in &mut experts {
            expert.retain(|name, _| names.contains(name));
        }
        let infos = parameter::parameters(&candidates.experts[0]).into_iter();
        let infos = infos.filter(|info| names.contains(&info.name));
        let group = |name: &String| match per_module {
            true => Parameter::of(name).place().module.to_owned(),
            false => EVERYWHERE.to_owned(),
        };
        Self {
            infos: infos.map(|info| (info.name.clone(), info)).collect(),
            groups: names
                .iter()
                .map(|name| (name.clone(), group(name)))
                .collect(),
            experts,
        }
    }

    fn mixed(&self, weights: &BTreeMap<&str, Vec<f64>>) -> BTreeMap<String, HostTensor> {
        let mix = |(name, group): (&String, &String)| {
            let weights = &weights[group.as_str()];
            let mut values = vec![0f64; self.experts[0][name].values.len()];
            for (expert, weight) in self.experts.iter().zip(weights) {
                for (sum, value) in values.iter_mut().zip(&expert[name].values) {
                    *sum += weight * f64::from(*value);
                }
            }
            let tensor = HostTensor {
                shape: self.experts[0][name].shape.clone(),
                values: values.into_iter().map(|v| v as f32).collect(),
            };
            (name.clone(), tensor)
        };
        self.groups.iter().map(mix).collect()
    }
}

/// Logits of weights, with Adam's state.
struct Logits {
    values: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl Logits {
    fn new(count: usize) -> Self {
        let zeros = vec![0.0; count];
        Self {
            values: zeros.clone(),
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        }
    }

    fn weights(&self) -> Vec<f64> {
        let most = self
            .values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = self.values.iter().map(|v| (v - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|p| p / sum).collect()
    }

    /// One step down a slope that is given for the weights.
    fn step(&mut self, slope: &[f64], rate: f64) {
        let weights = self.weights();
        let mean: f64 = weights.iter().zip(slope).map(|(w, s)| w * s).sum();
        self.steps += 1;
        let unbias = |beta: f64| 1.0 - beta.powi(self.steps);
        for (i, (weight, slope)) in weights.iter().zip(slope).enumerate() {
            let gradient = weight * (slope - mean);
            self.first[i] += 0.1 * (gradient - self.first[i]);
            self.second[i] += 0.001 * (gradient * gradient - self.second[i]);
            let root = (self.second[i] / unbias(0.999)).sqrt() + 1e-8;
            self.values[i] -= rate * self.first[i] / unbias(0.9) / root;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_go_to_where_the_loss_is_least() {
        // Loss (2 w_0 + 5 w_1 + 9 w_2 - 4)^2: least where the mix is 4.
        let values = [2.0, 5.0, 9.0];
        let mut logits = Logits::new(3);
        let mix = |weights: &[f64]| weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>();
        for _ in 0..400 {
            let slope = 2.0 * (mix(&logits.weights()) - 4.0);
            logits.step(&values.map(|v| slope * v), 0.05);
        }
        let weights = logits.weights();
        assert!((mix(&weights) - 4.0).abs() < 1e-2, "{weights:?}");
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
