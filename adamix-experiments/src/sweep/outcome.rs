//! What a run of a sweep came to.

/// What is known of a run, for those who only compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It is not done yet.
    Missing,
    /// It failed.
    Failed,
    /// It is done, with this score; more is better.
    Done(Option<f64>),
}

impl Outcome {
    /// The score of a run that is done and has one.
    pub fn score(&self) -> Option<f64> {
        match self {
            Self::Done(score) => *score,
            _ => None,
        }
    }
}
