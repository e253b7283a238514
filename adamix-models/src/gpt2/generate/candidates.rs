//! Log-probabilities on the host, and the best of many continuations.

/// What turns logits into log-probabilities: `log_p = (logit - largest) - log_sum`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSoftmax {
    largest: f32,
    log_sum: f32,
}

impl LogSoftmax {
    /// The normaliser of a row of logits, of which some may be minus infinity.
    pub(super) fn of(logits: &[f32]) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|v| f64::from((v - largest).exp())).sum();
        Self {
            largest,
            log_sum: sum.ln() as f32,
        }
    }

    /// Never above zero.
    pub(super) fn log_p(self, logit: f32) -> f32 {
        ((logit - self.largest) - self.log_sum).min(0.0)
    }
}

/// A continuation of one of several sequences by one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Which sequence.
    pub(super) parent: usize,
    /// The token.
    pub(super) token: u32,
    /// The sequence's score with the token.
    pub(super) score: f32,
}

/// The best continuations seen so far, best first; of equals the first seen.
#[derive(Debug)]
pub(super) struct Best {
    limit: usize,
    kept: Vec<Candidate>,
}

impl Best {
    /// Keeps at most `limit`.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Vec::with_capacity(limit + 1),
        }
    }

    /// Takes every continuation of a sequence in. One with no probability is none.
    pub(super) fn extend(&mut self, parent: usize, score_of: impl Iterator<Item = f32>) {
        for (token, score) in score_of.enumerate() {
            let full = self.kept.len() == self.limit;
            let worst = self.kept.last().map_or(f32::NEG_INFINITY, |c| c.score);
            if score == f32::NEG_INFINITY || score.is_nan() || (full && score <= worst) {
                continue;
            }
            let place = self.kept.partition_point(|c| c.score >= score);
            let token = token as u32;
            let candidate = Candidate {
                parent,
                token,
                score,
            };
            self.kept.insert(place, candidate);
            self.kept.truncate(self.limit);
        }
    }

    /// What was kept, best first.
    pub(super) fn into_vec(self) -> Vec<Candidate> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_of_equals_the_earlier() {
        let mut best = Best::new(3);
        best.extend(0, [1.0, 5.0, f32::NEG_INFINITY].into_iter());
        best.extend(1, [5.0, 0.0, 1.0].into_iter());
        let kept: Vec<_> = best
            .into_vec()
            .iter()
            .map(|c| (c.parent, c.token))
            .collect();
        assert_eq!(kept, [(0, 1), (1, 0), (0, 0)]);
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let logits = [3f32.ln(), 0.0, f32::NEG_INFINITY];
        let softmax = LogSoftmax::of(&logits);
        let p: Vec<f32> = logits.iter().map(|l| softmax.log_p(*l).exp()).collect();
        assert!((p[0] - 0.75).abs() < 1e-6 && (p[1] - 0.25).abs() < 1e-6 && p[2] == 0.0);
    }
}
