//! How long one step, or one search, takes on this machine, beside what its matrix products could at best.

mod generation;
mod machine;
mod step;

pub use generation::Generation;
pub use machine::{Machine, peak_memory};
pub use step::{Work, run};

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

/// The times of one piece of work.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// Seconds of each repetition after the first, which warms up.
    pub seconds: Vec<f64>,
    /// Products and sums of the matrix products, a repetition.
    pub flops: f64,
    /// Tokens a repetition, padding included; of a search, those that it found.
    pub tokens: usize,
    /// Examples a repetition.
    pub examples: usize,
}

impl Times {
    /// The median repetition, in seconds.
    pub fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        }
    }

    /// The repetition that other programs disturbed least, in seconds.
    pub fn shortest(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// The seconds of each repetition after one that warms up.
fn repeat(repeats: usize, mut once: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    once()?;
    let timed = (0..repeats).map(|_| {
        let clock = Instant::now();
        once()?;
        Ok(clock.elapsed().as_secs_f64())
    });
    timed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let times = |seconds: &[f64]| Times {
            seconds: seconds.to_vec(),
            flops: 0.0,
            tokens: 0,
            examples: 0,
        };
        assert_eq!(times(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(times(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(times(&[4.0, 1.0]).shortest(), 1.0);
    }
}
