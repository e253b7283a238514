//! Median merging: of every value the middle one of the experts', which no single expert can move far.

use std::sync::Arc;

use adamix_core::merging::{MergeError, MergeRule, Place, RULES};
use serde::Deserialize;

/// The median of every value over the experts; of an even number the mean of the two in the middle.
///
/// Invariant to the experts' order; the identity for one expert.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Median {}

impl MergeRule for Median {
    fn name(&self) -> &str {
        "median"
    }

    fn combine(&self, experts: &[&[f32]], _place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        let (low, high) = ((experts.len() - 1) / 2, experts.len() / 2);
        let median = |j: usize| {
            let mut values: Vec<f32> = experts.iter().map(|expert| expert[j]).collect();
            values.sort_by(f32::total_cmp);
            (values[low] + values[high]) / 2.0
        };
        Ok((0..experts[0].len()).map(median).collect())
    }
}

/// Makes `merging.rule = "median"` known to this process.
pub fn register() {
    RULES.register("median", |options| Ok(Arc::new(options.parse::<Median>()?)));
}
