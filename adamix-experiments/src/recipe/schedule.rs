//! The learning rate: linear warm-up, then linear decay to zero.

use crate::config::{FirstRate, Schedule};

/// The rate of step `step` (from 1) of `total`, as Hugging Face's `get_linear_schedule_with_warmup` gives
/// it; its first rate is zero.
pub fn learning_rate(schedule: &Schedule, peak: f64, step: usize, total: usize) -> f64 {
    let warmup = match schedule.warmup_steps {
        0 => (schedule.warmup_ratio * total as f64).ceil() as usize,
        steps => steps,
    };
    let current = match schedule.first_rate {
        FirstRate::Zero => step - 1,
        FirstRate::Step => step,
    };
    if current < warmup {
        return peak * current as f64 / warmup as f64;
    }
    peak * total.saturating_sub(current) as f64 / total.saturating_sub(warmup).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_hugging_face() {
        let schedule = Schedule {
            warmup_ratio: 0.2,
            ..Schedule::default()
        };
        let rates: Vec<f64> = (1..=10)
            .map(|s| learning_rate(&schedule, 8.0, s, 10))
            .collect();
        // lr_lambda of transformers for current = 0..9, warm-up 2, total 10.
        assert_eq!(rates, [0.0, 4.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
    }

    #[test]
    fn steps_of_warm_up_count_before_a_share_and_the_first_rate_may_be_a_steps_worth() {
        let schedule = Schedule {
            warmup_steps: 2,
            warmup_ratio: 0.5,
            first_rate: FirstRate::Step,
            ..Schedule::default()
        };
        let rates: Vec<f64> = (1..=10)
            .map(|s| learning_rate(&schedule, 8.0, s, 10))
            .collect();
        assert_eq!(rates, [4.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
    }
}
