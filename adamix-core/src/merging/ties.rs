//! TIES: trim, elect sign, merge (Yadav et al. 2023).

use serde::Deserialize;

use super::magnitude::prune;
use super::{MergeError, MergeRule, Place};
use crate::options::{OptionError, fraction};

/// How the experts agree on a value's sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Election {
    /// The sign of the sum of the trimmed values.
    #[default]
    Total,
    /// The sign that more of the trimmed values have.
    Frequency,
}

/// Each expert keeps its largest values; each value's sign is elected; the mean is over the experts that
/// kept the value with that sign (`ties` of Python's `peft` with weights 1).
///
/// Invariant to the experts' order, but not the identity for one expert unless `density` is 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ties {
    /// The part of each parameter's values that stays; 0.2 in the paper.
    pub density: f64,
    /// How signs are elected.
    pub election: Election,
}

impl Default for Ties {
    fn default() -> Self {
        Self {
            density: 0.2,
            election: Election::Total,
        }
    }
}

impl MergeRule for Ties {
    fn name(&self) -> &str {
        "ties"
    }

    fn combine(&self, experts: &[&[f32]], _place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        let trimmed: Vec<Vec<f32>> = experts.iter().map(|e| prune(e, self.density)).collect();
        Ok(elect(&trimmed, self.election))
    }

    fn check(&self) -> Result<(), OptionError> {
        fraction("density", self.density)
    }
}

/// The mean over the experts whose value has the elected sign (plus, where the vote is even); 0 where none
/// has.
pub(super) fn elect(experts: &[Vec<f32>], election: Election) -> Vec<f32> {
    let merged = (0..experts[0].len()).map(|j| {
        let values = experts.iter().map(|e| f64::from(e[j]));
        let vote: f64 = match election {
            Election::Total => values.clone().sum(),
            Election::Frequency => values.clone().filter(|v| *v != 0.0).map(f64::signum).sum(),
        };
        let elected = if vote >= 0.0 { 1.0 } else { -1.0 };
        let (sum, count) = values
            .filter(|v| *v * elected > 0.0)
            .fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
        (sum / f64::from(count.max(1))) as f32
    });
    merged.collect()
}
