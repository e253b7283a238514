//! Log-probabilities on the host, and the best of many continuations.

/// What turns logits into log-probabilities: `log_p = (logit - largest) - log_sum`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSoftmax {
    largest: f32,
    log_sum: f32,
}

impl LogSoftmax {
    /// The normaliser of a row of logits, of which some may be minus infinity; none if one is no number or infinite.
    pub(super) fn of(logits: &[f32]) -> Option<Self> {
        let (largest, sum) = adamix_kernels::exponential_sum(logits);
        let log_sum = sum.ln();
        // Where every token is impossible there is no sum, and nothing wrong.
        let sound = log_sum.is_finite() || logits.iter().all(|l| *l == f32::NEG_INFINITY);
        sound.then_some(Self { largest, log_sum })
    }

    /// Never above zero; no number where every token is impossible.
    pub(super) fn log_p(self, logit: f32) -> f32 {
        let log_p = (logit - self.largest) - self.log_sum;
        if log_p > 0.0 { 0.0 } else { log_p }
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

/// Logits that are looked at together.
const BLOCK: usize = 64;

/// The largest of some logits; one that is no number counts as none.
fn largest(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 8];
    let chunks = logits.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    let all = lanes.iter().chain(rest).copied();
    all.fold(f32::NEG_INFINITY, f32::max)
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

    /// Takes every continuation of a sequence in, by the logit of its token and the score that this gives,
    /// which must not fall where the logit rises. A continuation with no probability is none.
    pub(super) fn extend(&mut self, parent: usize, logits: &[f32], score_of: impl Fn(f32) -> f32) {
        for (block, logits) in logits.chunks(BLOCK).enumerate() {
            // Nearly all blocks have nothing to offer, which one comparison tells.
            if !self.takes(score_of(largest(logits))) {
                continue;
            }
            for (i, logit) in logits.iter().enumerate() {
                let score = score_of(*logit);
                if self.takes(score) {
                    let token = (block * BLOCK + i) as u32;
                    let candidate = Candidate {
                        parent,
                        token,
                        score,
                    };
                    let place = self.kept.partition_point(|c| c.score >= score);
                    self.kept.insert(place, candidate);
                    self.kept.truncate(self.limit);
                }
            }
        }
    }

    /// Whether a score would be kept.
    fn takes(&self, score: f32) -> bool {
        let worst = self.kept.last().map_or(f32::NEG_INFINITY, |c| c.score);
        let possible = score != f32::NEG_INFINITY && !score.is_nan();
        possible && (self.kept.len() < self.limit || score > worst)
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
        best.extend(0, &[1.0, 5.0, f32::NEG_INFINITY], |logit| logit);
        best.extend(1, &[5.0, f32::NAN, 1.0], |logit| logit);
        let kept: Vec<_> = best
            .into_vec()
            .iter()
            .map(|c| (c.parent, c.token))
            .collect();
        assert_eq!(kept, [(0, 1), (1, 0), (0, 0)]);
    }

    /// Against sorting everything.
    #[test]
    fn long_rows_lose_nothing() {
        let key = adamix_keys::Key::new(6);
        let row = |parent: u64| -> Vec<f32> {
            // Few values, so that there are equals.
            let value = |t| key.fold(parent).fold(t).below(40) as f32;
            (0..333).map(value).collect()
        };
        let score = |parent: usize, logit: f32| logit * 0.5 - parent as f32;
        let mut best = Best::new(12);
        let mut all = Vec::new();
        for parent in 0..4 {
            let logits = row(parent as u64);
            best.extend(parent, &logits, |logit| score(parent, logit));
            for (token, logit) in logits.iter().enumerate() {
                all.push((score(parent, *logit), parent, token as u32));
            }
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found: Vec<_> = best
            .into_vec()
            .iter()
            .map(|c| (c.score, c.parent, c.token))
            .collect();
        assert_eq!(found, all[..12]);
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let logits = [3f32.ln(), 0.0, f32::NEG_INFINITY];
        let softmax = LogSoftmax::of(&logits).unwrap();
        let p: Vec<f32> = logits.iter().map(|l| softmax.log_p(*l).exp()).collect();
        assert!((p[0] - 0.75).abs() < 1e-6 && (p[1] - 0.25).abs() < 1e-6 && p[2] == 0.0);
    }

    #[test]
    fn what_is_no_number_has_no_probability() {
        for wrong in [f32::NAN, f32::INFINITY] {
            assert!(LogSoftmax::of(&[1.0, wrong, f32::NEG_INFINITY, 2.0]).is_none());
        }
        let banned = [f32::NEG_INFINITY; 9];
        let softmax = LogSoftmax::of(&banned).unwrap();
        let mut best = Best::new(2);
        best.extend(0, &banned, |logit| softmax.log_p(logit));
        assert_eq!(best.into_vec(), []);
    }
}
