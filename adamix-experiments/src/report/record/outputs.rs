//! A model's outputs over a split, as a record keeps them.

use adamix_data::{Target, Task};
use serde::{Deserialize, Serialize};

/// A model's outputs over a split, in the order of its rows, to five significant digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outputs {
    /// Logits less that of class 0, classes 1 to C - 1 of each row in turn.
    LogOdds {
        /// C.
        classes: usize,
        /// The values.
        values: Vec<f64>,
    },
    /// Scores of a regression.
    Scores(Vec<f64>),
    /// Generated texts.
    Texts(Vec<String>),
}

impl Outputs {
    /// Outputs from logits: of a classification one vector a row; of a regression its score.
    pub fn of(task: &Task, logits: &[Vec<f32>], scores: &[f64]) -> Self {
        if task.is_regression() {
            return Self::Scores(scores.iter().map(|s| short(*s)).collect());
        }
        let odds = |row: &Vec<f32>| {
            let first = f64::from(row[0]);
            let whole: Vec<f64> = row[1..].iter().map(|v| f64::from(*v) - first).collect();
            let rest: Vec<f64> = whole.iter().map(|v| short(*v)).collect();
            // Two classes that are equal to five digits must not change places.
            match predicted(&rest) == predicted(&whole) {
                true => rest,
                false => whole,
            }
        };
        Self::LogOdds {
            classes: task.labels.len(),
            values: logits.iter().flat_map(odds).collect(),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::LogOdds { classes, values } => values.len() / (classes - 1).max(1),
            Self::Scores(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// The prediction of each row: the first of the largest logits, or the score.
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::LogOdds { classes, values } => {
                let class = |row: &[f64]| Target::Class(predicted(row));
                values.chunks(classes - 1).map(class).collect()
            }
            Self::Scores(values) => values.iter().map(|v| Target::Score(*v as f32)).collect(),
            Self::Texts(_) => Vec::new(),
        }
    }

    /// The probability of each row's prediction, for calibration; none of a regression.
    pub fn confidences(&self) -> Vec<f64> {
        let Self::LogOdds { classes, values } = self else {
            return Vec::new();
        };
        let confidence = |row: &[f64]| {
            let largest = row.iter().copied().fold(0.0, f64::max);
            let sum: f64 = row.iter().map(|v| (v - largest).exp()).sum();
            1.0 / (sum + (-largest).exp())
        };
        values.chunks(classes - 1).map(confidence).collect()
    }
}

/// The class of a row of log-odds: the first of the largest.
fn predicted(odds: &[f64]) -> u32 {
    let mut best = (0, 0.0);
    for (i, value) in odds.iter().enumerate() {
        if *value > best.1 {
            best = (i + 1, *value);
        }
    }
    best.0 as u32
}

/// A value to five significant digits, in which it keeps its sign.
pub fn short(value: f64) -> f64 {
    format!("{value:.4e}")
        .parse()
        .expect("a number that was just written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_sign_and_five_digits() {
        assert_eq!(short(1.234_567_8), 1.2346);
        assert_eq!(short(-1.234_567_8e-9), -1.2346e-9);
        assert_eq!(short(0.0), 0.0);
    }

    #[test]
    fn predictions_come_back_from_log_odds() {
        let task = Task::by_name("mnli").unwrap();
        let logits = [
            vec![0.1, 0.2, -1.0],
            vec![3.0, 1.0, 2.0],
            vec![1.0, 1.0, 1.0],
            vec![0.0, 1.0, 4.0],
            vec![0.0, 5.123_41, 5.123_44],
        ];
        let outputs = Outputs::of(task, &logits, &[]);
        let classes: Vec<_> = outputs
            .targets()
            .iter()
            .map(|t| t.class().unwrap())
            .collect();
        // Of equal logits the first, as at evaluation.
        assert_eq!(classes, [1, 0, 0, 2, 2]);
        assert_eq!(outputs.rows(), 5);
        // softmax(0, 1, 4)[2] = e^4 / (1 + e + e^4)
        let expected = 4f64.exp() / (1.0 + 1f64.exp() + 4f64.exp());
        assert!((outputs.confidences()[3] - expected).abs() < 1e-12);
        assert!((outputs.confidences()[2] - 1.0 / 3.0).abs() < 1e-12);
    }
}
