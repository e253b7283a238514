//! AdaMix's merging (paper §3.3): the mean of the experts' weights and biases.

use serde::Deserialize;

use super::{MergeError, MergeRule, Place, weighted_sum};

/// The mean of all experts.
///
/// Invariant to their order; the identity for one expert; linear, so the mean of several steps' merged
/// modules is the merged module of the mean.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uniform {}

impl MergeRule for Uniform {
    fn name(&self) -> &str {
        "uniform"
    }

    fn combine(&self, experts: &[&[f32]], _place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        Ok(weighted_sum(experts, |_| 1.0 / experts.len() as f64))
    }
}
