//! How many become one: one file a rule.
//!
//! A rule is a value. Most need nothing but their settings and are known by name ([`RULES`]); those that
//! need data ([`Fisher`], [`RegMean`], a soup's [`Weighted`]) are made from what was gathered. Values are
//! merged on the host, in 64-bit sums: merging is rare and small.

mod average;
mod by_place;
mod concatenation;
mod dare;
mod fisher;
mod magnitude;
mod pair;
mod place;
mod product;
mod product_gap;
mod regmean;
mod soup;
mod ties;
mod uniform;
mod weighted;

pub use average::Average;
pub use by_place::{ByPlace, Override};
pub use concatenation::Concatenation;
pub use dare::Dare;
pub use fisher::Fisher;
pub use magnitude::Magnitude;
pub use pair::Pair;
pub use place::Place;
pub use product::Product;
pub use product_gap::ProductGap;
pub use regmean::{Gram, RegMean};
pub use soup::greedy_soup;
pub use ties::{Election, Ties};
pub use uniform::Uniform;
pub use weighted::Weighted;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::linear::Linear;
use crate::options::{OptionError, Options};
use crate::registry::Registry;

/// Makes one module of the experts of a mixture.
///
/// Most rules say only how the values of one parameter are combined ([`combine`](Self::combine)); one that
/// looks at a whole matrix overrides [`merge`](Self::merge), one that looks at both sides together
/// [`merge_pair`](Self::merge_pair). A side with one expert has nothing to merge, and no rule is asked.
pub trait MergeRule: Send + Sync + core::fmt::Debug {
    /// The name by which configs refer to the rule.
    fn name(&self) -> &str;

    /// The merged values of one parameter, from the values it has in each expert (at least one, all of one
    /// length, row-major in memory layout).
    ///
    /// # Errors
    /// If the rule lacks something for that place.
    fn combine(&self, experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError>;

    /// The merged projection of one side: weight and bias combined, each on its own.
    ///
    /// # Errors
    /// As [`combine`](Self::combine).
    fn merge(&self, experts: &[Linear], place: &Place<'_>) -> Result<Linear, MergeError> {
        let combine = |values: Vec<Vec<f32>>, parameter| {
            let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
            self.combine(&values, &place.of(parameter))
        };
        let weights = experts.iter().map(Linear::weight_values).collect();
        let biases: Option<Vec<_>> = experts.iter().map(Linear::bias_values).collect();
        let weight = combine(weights, "weight")?;
        let bias = biases.map(|b| combine(b, "bias")).transpose()?;
        Ok(experts[0].with_values(experts[0].shape(), weight, bias))
    }

    /// The merged projections of both sides: each side on its own.
    ///
    /// # Errors
    /// As [`combine`](Self::combine), and if the rule cannot merge modules of that kind.
    fn merge_pair(&self, pair: &Pair<'_>) -> Result<[Linear; 2], MergeError> {
        pair.each_side(|experts, place| self.merge(experts, place))
    }

    /// Refuses settings that are out of range.
    ///
    /// # Errors
    /// Names the setting.
    fn check(&self) -> Result<(), OptionError> {
        Ok(())
    }
}

/// Why experts could not be merged.
#[derive(Debug, Error, PartialEq)]
pub enum MergeError {
    /// Weights for another number of experts.
    #[error("`{place}` has {experts} experts, but {weights} weights are given")]
    Weights {
        /// The side.
        place: String,
        /// How many it has.
        experts: usize,
        /// How many were given.
        weights: usize,
    },
    /// A rule on products, where something stands between the factors.
    #[error(
        "rule `{rule}` merges products of linear maps; `{module}` has an activation between its projections"
    )]
    NotLinear {
        /// The rule.
        rule: String,
        /// The module.
        module: String,
    },
    /// A rule on both sides, asked for one.
    #[error(
        "rule `{rule}` merges both sides together; it cannot be given for one side of `{module}`"
    )]
    BothSides {
        /// The rule.
        rule: String,
        /// The module.
        module: String,
    },
    /// Nothing was gathered for a parameter.
    #[error("rule `{rule}` has nothing gathered for `{name}`")]
    NotGathered {
        /// The rule.
        rule: String,
        /// The parameter, or the side of a module.
        name: String,
    },
    /// A linear system without a solution.
    #[error("the inputs gathered at `{0}` do not determine a projection; gather more rows")]
    Singular(String),
    /// A projection holds what is no number.
    #[error("`{0}` holds a value that is not finite; its training went wrong")]
    NotFinite(String),
}

fn parsed<R: MergeRule + DeserializeOwned + 'static>(
    options: &Options,
) -> Result<Arc<dyn MergeRule>, OptionError> {
    let rule: R = options.parse()?;
    rule.check()?;
    Ok(Arc::new(rule))
}

/// The rules that need nothing but their settings, by name.
pub static RULES: Registry<dyn MergeRule> = Registry::new(
    "merging rule",
    &[
        ("uniform", parsed::<Uniform>),
        ("weighted", parsed::<Weighted>),
        ("ties", parsed::<Ties>),
        ("dare", parsed::<Dare>),
        ("magnitude", parsed::<Magnitude>),
        ("product-svd", parsed::<Product>),
        ("concatenation", parsed::<Concatenation>),
    ],
);

/// The weighted sum of several parameters' values, in 64 bits.
fn weighted_sum(experts: &[&[f32]], weight: impl Fn(usize) -> f64) -> Vec<f32> {
    let mut sum = vec![0f64; experts[0].len()];
    for (i, values) in experts.iter().enumerate() {
        let weight = weight(i);
        for (s, v) in sum.iter_mut().zip(*values) {
            *s += weight * f64::from(*v);
        }
    }
    sum.into_iter().map(|s| s as f32).collect()
}

#[cfg(test)]
mod tests;
