//! An average of the trained values over the steps.

use std::collections::BTreeMap;

use crate::parameter::HostTensor;

/// A running average of named values: the mean over all steps until there are `1 / (1 - decay)` of them,
/// from there on exponential.
///
/// The mean over experts is linear, so this average, merged, is the average of the merged weights. Its
/// whole state is [`steps`](Self::steps) and [`values`](Self::values).
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    decay: f64,
    steps: u64,
    values: BTreeMap<String, HostTensor>,
}

impl Average {
    /// Without values yet. `decay` is below 1.
    pub fn new(decay: f64) -> Self {
        Self::resume(decay, 0, BTreeMap::new())
    }

    /// An average after `steps` updates.
    pub fn resume(decay: f64, steps: u64, values: BTreeMap<String, HostTensor>) -> Self {
        Self {
            decay,
            steps,
            values,
        }
    }

    /// Takes in the values after one more step.
    pub fn update(&mut self, values: BTreeMap<String, HostTensor>) {
        let decay = self
            .decay
            .min(self.steps as f64 / (self.steps as f64 + 1.0));
        self.steps += 1;
        for (name, new) in values {
            let Some(old) = self.values.get_mut(&name) else {
                self.values.insert(name, new);
                continue;
            };
            for (old, new) in old.values.iter_mut().zip(new.values) {
                *old = (decay * f64::from(*old) + (1.0 - decay) * f64::from(new)) as f32;
            }
        }
    }

    /// What is left of the average at each step, once it is exponential.
    pub fn decay(&self) -> f64 {
        self.decay
    }

    /// How many steps it has seen.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The averaged values; empty before the first step.
    pub fn values(&self) -> &BTreeMap<String, HostTensor> {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: f32) -> BTreeMap<String, HostTensor> {
        let tensor = HostTensor {
            shape: vec![1],
            values: vec![value],
        };
        BTreeMap::from([("w".to_owned(), tensor)])
    }

    #[test]
    fn the_mean_at_first_then_exponential() {
        let mut average = Average::new(0.75);
        let mut seen = Vec::new();
        for value in [4.0, 8.0, 0.0, 4.0, 8.0] {
            average.update(one(value));
            seen.push(average.values()["w"].values[0]);
        }
        // 4; (4+8)/2; (4+8+0)/3; (4+8+0+4)/4; then 0.75 · 4 + 0.25 · 8.
        assert_eq!(seen, [4.0, 6.0, 4.0, 4.0, 5.0]);
        let resumed = Average::resume(0.75, average.steps(), average.values().clone());
        assert_eq!(resumed, average);
    }
}
