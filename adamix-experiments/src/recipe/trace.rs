//! `trace.jsonl`: enough to replay a run in another framework.

use adamix_core::routing::Routes;
use serde::Serialize;

/// One optimiser step.
#[derive(Debug, Serialize)]
pub struct StepTrace {
    /// From 1.
    pub step: usize,
    /// The rate of this step.
    pub lr: f64,
    /// The micro-batches in order.
    pub micro: Vec<MicroTrace>,
    /// Mean over the micro-batches.
    pub loss: f64,
    /// Before clipping.
    pub grad_norm: f64,
}

/// One micro-batch.
#[derive(Debug, Serialize)]
pub struct MicroTrace {
    /// Row ids in batch order.
    pub examples: Vec<u32>,
    /// The routes of each pass.
    pub passes: Vec<Routes>,
    /// On the first pass, or summed over both (`consistency.task_loss`).
    pub task_loss: f64,
    /// Between the passes, without its factor.
    pub consistency_loss: Option<f64>,
    /// What routing adds, where a policy learns with losses of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auxiliary_loss: Option<f64>,
}
