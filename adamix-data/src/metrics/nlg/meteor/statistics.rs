//! The sufficient statistics of METEOR: they add up over segments.

use super::align::STAGES;
use std::ops::AddAssign;

/// Weights of the stages in the score: exact, stem, synonym, paraphrase.
const WEIGHTS: [f64; STAGES] = [1.0, 0.6, 0.8, 0.6];
/// Recall against precision.
const ALPHA: f64 = 0.85;
/// Shape of the fragmentation penalty.
const BETA: f64 = 0.2;
/// Weight of the fragmentation penalty.
const GAMMA: f64 = 0.6;
/// Content against function words.
const DELTA: f64 = 0.75;

/// One side of a pair: the output or the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    /// Words.
    pub length: f64,
    /// Function words.
    pub function_words: f64,
    /// Matched content words by stage.
    pub content: [f64; STAGES],
    /// Matched function words by stage.
    pub function: [f64; STAGES],
}

impl Side {
    fn matches(&self) -> f64 {
        self.content
            .iter()
            .zip(&self.function)
            .map(|(c, f)| c + f)
            .sum()
    }

    /// Weighted matches over weighted length.
    fn share(&self) -> f64 {
        let length =
            DELTA * (self.length - self.function_words) + (1.0 - DELTA) * self.function_words;
        let mut matches = 0.0;
        for (count, weight) in self.content.iter().zip(WEIGHTS) {
            matches += count * weight * DELTA;
        }
        for (count, weight) in self.function.iter().zip(WEIGHTS) {
            matches += count * weight * (1.0 - DELTA);
        }
        matches / length
    }

    fn add(&mut self, other: &Self) {
        self.length += other.length;
        self.function_words += other.function_words;
        for stage in 0..STAGES {
            self.content[stage] += other.content[stage];
            self.function[stage] += other.function[stage];
        }
    }
}

/// Statistics of a segment, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// The output.
    pub output: Side,
    /// The reference that suits it best.
    pub reference: Side,
    /// Runs of matches in the same order.
    pub chunks: f64,
}

impl Statistics {
    /// Whether every word is matched in a single run.
    fn is_perfect(&self) -> bool {
        self.output.matches() == self.output.length
            && self.reference.matches() == self.reference.length
            && self.chunks == 1.0
    }

    /// The score, between 0 and 1.
    pub fn score(&self) -> f64 {
        let precision = self.output.share();
        let recall = self.reference.share();
        let mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall);
        let fragmentation = if self.is_perfect() {
            0.0
        } else {
            self.chunks / ((self.output.matches() + self.reference.matches()) / 2.0)
        };
        let score = mean * (1.0 - GAMMA * fragmentation.powf(BETA));
        if score.is_nan() { 0.0 } else { score.max(0.0) }
    }
}

impl AddAssign<&Statistics> for Statistics {
    /// Adds a segment; the single chunk of a perfect one does not count.
    fn add_assign(&mut self, other: &Statistics) {
        self.output.add(&other.output);
        self.reference.add(&other.reference);
        if !other.is_perfect() {
            self.chunks += other.chunks;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_match_scores_one_and_nothing_scores_zero() {
        let mut side = Side {
            length: 3.0,
            function_words: 1.0,
            ..Side::default()
        };
        let none = Statistics {
            output: side,
            reference: side,
            chunks: 0.0,
        };
        assert_eq!(none.score(), 0.0);
        side.content[0] = 2.0;
        side.function[0] = 1.0;
        let perfect = Statistics {
            output: side,
            reference: side,
            chunks: 1.0,
        };
        assert!((perfect.score() - 1.0).abs() < 1e-12);
        let mut sum = perfect;
        sum += &perfect;
        assert_eq!(sum.chunks, 1.0);
        assert_eq!(Statistics::default().score(), 0.0);
    }
}
