//! How sure a classifier is of its predictions, and whether it should be.

use adamix_data::metrics::{ReliabilityBin, calibration_error, reliability};
use adamix_data::{Example, Target, Task};
use serde::Serialize;

use super::evaluate::{Doubt, Predictions, argmax};

/// Bins of confidence.
const BINS: usize = 15;

/// How sure a classifier is of its predictions, and whether it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Certainty {
    /// The expected calibration error.
    pub calibration_error: Option<f64>,
    /// The data of a reliability diagram.
    pub reliability: Vec<ReliabilityBin>,
    /// With several paths: means over the rows.
    #[serde(flatten)]
    pub doubt: Option<MeanDoubt>,
}

/// How uncertain several paths are, in nats: means over rows. Where a model knows what it does not know, those of
/// its wrong predictions are higher.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MeanDoubt {
    /// Of the mean distribution: all uncertainty.
    pub entropy: f64,
    /// How much of it is disagreement of the paths.
    pub mutual_information: f64,
    /// The entropy of rows whose prediction is wrong; `None` for none.
    pub entropy_where_wrong: Option<f64>,
    /// The mutual information of rows whose prediction is wrong; `None` for none.
    pub mutual_information_where_wrong: Option<f64>,
}

impl Predictions {
    /// The certainty of predictions of labelled rows; `None` of a regression.
    pub fn certainty(&self, task: &Task, examples: &[Example]) -> Option<Certainty> {
        if task.is_regression() {
            return None;
        }
        let is_right = |(logits, example): (&Vec<f32>, &Example)| {
            example.target == Target::Class(argmax(logits))
        };
        let right: Vec<bool> = self.logits.iter().zip(examples).map(is_right).collect();
        let confidences = self.logits.iter().map(|logits| confidence(logits));
        let rows: Vec<(f64, bool)> = confidences.zip(right.iter().copied()).collect();
        let bins = reliability(&rows, BINS);
        Some(Certainty {
            calibration_error: calibration_error(&bins),
            reliability: bins,
            doubt: self
                .doubts
                .as_deref()
                .map(|doubts| MeanDoubt::of(doubts, &right)),
        })
    }
}

impl MeanDoubt {
    fn of(doubts: &[Doubt], right: &[bool]) -> Self {
        let wrong = || doubts.iter().zip(right).filter(|(_, right)| !**right);
        let mean = |values: &mut dyn Iterator<Item = f32>| -> Option<f64> {
            let values: Vec<f64> = values.map(f64::from).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Self {
            entropy: mean(&mut doubts.iter().map(|d| d.entropy)).unwrap_or(0.0),
            mutual_information: mean(&mut doubts.iter().map(|d| d.mutual_information))
                .unwrap_or(0.0),
            entropy_where_wrong: mean(&mut wrong().map(|(d, _)| d.entropy)),
            mutual_information_where_wrong: mean(&mut wrong().map(|(d, _)| d.mutual_information)),
        }
    }
}

/// The probability of the prediction.
fn confidence(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - largest).exp()).sum();
    1.0 / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_of_wrong_rows_are_told_apart() {
        let doubt = |entropy, mutual_information| Doubt {
            entropy,
            mutual_information,
        };
        let doubts = [doubt(0.25, 0.0), doubt(0.75, 0.5), doubt(0.5, 0.25)];
        let found = MeanDoubt::of(&doubts, &[true, false, true]);
        assert_eq!((found.entropy, found.mutual_information), (0.5, 0.25));
        assert_eq!(found.entropy_where_wrong, Some(0.75));
        assert_eq!(found.mutual_information_where_wrong, Some(0.5));
        assert_eq!(MeanDoubt::of(&doubts, &[true; 3]).entropy_where_wrong, None);
        assert!((confidence(&[3f32.ln(), 0.0]) - 0.75).abs() < 1e-6);
    }
}
