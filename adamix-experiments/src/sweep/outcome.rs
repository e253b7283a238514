//! What a run of a sweep came to.

use super::criterion::Goal;

/// What is known of a run, for those who only compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It is not done yet.
    Missing,
    /// It failed.
    Failed,
    /// It is done, with this value of what is compared.
    Done(Option<Score>),
}

/// A value, and which way it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// As the run measured it.
    pub value: f64,
    /// Whether more or less is better.
    pub goal: Goal,
}

impl Score {
    /// The value such that more is better.
    pub fn worth(self) -> f64 {
        match self.goal {
            Goal::Max => self.value,
            Goal::Min => -self.value,
        }
    }
}

impl Outcome {
    /// The score of a run that is done and has one.
    pub fn score(&self) -> Option<Score> {
        match self {
            Self::Done(score) => *score,
            _ => None,
        }
    }

    /// A run that is done, with a value of which more is better.
    #[cfg(test)]
    pub(super) fn done(value: f64) -> Self {
        let goal = Goal::Max;
        Self::Done(Some(Score { value, goal }))
    }
}
