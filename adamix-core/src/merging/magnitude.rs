//! Magnitude pruning before the mean.

use serde::Deserialize;

use super::{MergeError, MergeRule, Place, weighted_sum};
use crate::options::{OptionError, fraction};

/// The mean of the experts after each has lost its smallest values (`magnitude_prune` of Python's `peft`
/// with weights `1 / M`).
///
/// Invariant to the experts' order, but not the identity for one expert unless `density` is 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Magnitude {
    /// The part of each parameter's values that stays.
    pub density: f64,
}

impl Default for Magnitude {
    fn default() -> Self {
        Self { density: 0.5 }
    }
}

impl MergeRule for Magnitude {
    fn name(&self) -> &str {
        "magnitude"
    }

    fn combine(&self, experts: &[&[f32]], _place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        let pruned: Vec<Vec<f32>> = experts.iter().map(|e| prune(e, self.density)).collect();
        let pruned: Vec<&[f32]> = pruned.iter().map(Vec::as_slice).collect();
        Ok(weighted_sum(&pruned, |_| 1.0 / pruned.len() as f64))
    }

    fn check(&self) -> Result<(), OptionError> {
        fraction("density", self.density)
    }
}

/// The values with all but the `density` largest in magnitude set to 0; of equals the first stay.
pub(super) fn prune(values: &[f32], density: f64) -> Vec<f32> {
    let kept = (density * values.len() as f64) as usize;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
    let mut pruned = vec![0.0; values.len()];
    for i in order.into_iter().take(kept) {
        pruned[i] = values[i];
    }
    pruned
}
