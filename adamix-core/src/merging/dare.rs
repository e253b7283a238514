//! DARE: drop and rescale before the mean (Yu et al. 2024), with drops from keys.

use adamix_keys::Key;
use serde::Deserialize;

use super::ties::{Election, elect};
use super::{MergeError, MergeRule, Place, weighted_sum};
use crate::options::{OptionError, fraction};

/// Each value of each expert stays with probability `density` and is then divided by it; the mean follows,
/// or TIES' election of signs.
///
/// In expectation over the seed the mean of the experts, which a single draw is not. The drops belong to
/// an expert's place, so permuting the experts changes the result; not the identity for one expert unless
/// `density` is 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dare {
    /// The probability that a value stays.
    pub density: f64,
    /// The seed of the drops.
    pub seed: u64,
    /// Elect signs as TIES does, instead of the plain mean.
    pub elect: bool,
}

impl Default for Dare {
    fn default() -> Self {
        Self {
            density: 0.5,
            seed: 0,
            elect: false,
        }
    }
}

impl MergeRule for Dare {
    fn name(&self) -> &str {
        "dare"
    }

    fn combine(&self, experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        let key = Key::new(self.seed).purpose("dare");
        let thinned = experts.iter().enumerate().map(|(i, values)| {
            let key = key.purpose(&place.in_expert(i));
            let keep = |(j, value): (usize, &f32)| {
                let kept = key.fold(j as u64).uniform() < self.density;
                if kept {
                    (f64::from(*value) / self.density) as f32
                } else {
                    0.0
                }
            };
            values.iter().enumerate().map(keep).collect()
        });
        let thinned: Vec<Vec<f32>> = thinned.collect();
        if self.elect {
            return Ok(elect(&thinned, Election::Total));
        }
        let thinned: Vec<&[f32]> = thinned.iter().map(Vec::as_slice).collect();
        Ok(weighted_sum(&thinned, |_| 1.0 / thinned.len() as f64))
    }

    fn check(&self) -> Result<(), OptionError> {
        fraction("density", self.density)?;
        if self.density == 0.0 {
            return Err(OptionError::new("density", "0 keeps nothing"));
        }
        Ok(())
    }
}
