//! Given weights: what a soup found, or what a researcher sets.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{MergeError, MergeRule, Place, weighted_sum};
use crate::options::OptionError;

/// The sum of the experts by given weights, which need not add up to 1.
///
/// Permuting experts and weights together changes nothing; the identity for one expert of weight 1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weighted {
    /// One weight an expert, for every place that has no weights of its own.
    pub weights: Vec<f64>,
    /// Weights of a module (`<module>`) or of one of its sides (`<module>.down`), as a learned soup finds
    /// them.
    #[serde(skip)]
    pub places: BTreeMap<String, Vec<f64>>,
}

impl Weighted {
    /// The same weights everywhere.
    pub fn everywhere(weights: Vec<f64>) -> Self {
        Self {
            weights,
            places: BTreeMap::new(),
        }
    }

    /// The uniform weights of some of `count` experts, as a greedy soup chooses them.
    pub fn subset(chosen: &[usize], count: usize) -> Self {
        let mut weights = vec![0.0; count];
        for expert in chosen {
            weights[*expert] = 1.0 / chosen.len() as f64;
        }
        Self::everywhere(weights)
    }
}

impl MergeRule for Weighted {
    fn name(&self) -> &str {
        "weighted"
    }

    fn combine(&self, experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        let own = self.places.get(&place.to_string());
        let weights = own.or_else(|| self.places.get(place.module));
        let weights = weights.unwrap_or(&self.weights);
        if weights.len() != experts.len() {
            return Err(MergeError::Weights {
                place: place.to_string(),
                experts: experts.len(),
                weights: weights.len(),
            });
        }
        Ok(weighted_sum(experts, |i| weights[i]))
    }

    fn check(&self) -> Result<(), OptionError> {
        match self.weights.iter().find(|weight| !weight.is_finite()) {
            Some(weight) => Err(OptionError::new(
                "weights",
                format!("{weight} is no weight"),
            )),
            None => Ok(()),
        }
    }
}
