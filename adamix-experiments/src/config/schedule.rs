//! How long, and at what rate.

use serde::{Deserialize, Serialize};

/// How long, and at what rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Optimiser steps after which training stops all the same; 0 for no bound.
    pub max_steps: usize,
    /// Examples a micro-batch.
    pub batch_size: usize,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// Share of all steps over which the rate rises from zero.
    pub warmup_ratio: f64,
    /// Steps over which the rate rises instead; 0 for `warmup_ratio`.
    pub warmup_steps: usize,
    /// The rate of the first step.
    pub first_rate: FirstRate,
}

/// The rate of the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstRate {
    /// Zero, as Hugging Face's schedulers give it.
    Zero,
    /// One step's worth of warm-up.
    Step,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            epochs: 10,
            max_steps: 0,
            batch_size: 32,
            accumulation: 1,
            warmup_ratio: 0.06,
            warmup_steps: 0,
            first_rate: FirstRate::Zero,
        }
    }
}
