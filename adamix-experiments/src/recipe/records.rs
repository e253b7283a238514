//! The files that a run writes as it goes.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::routing::Inference;
use anyhow::{Result, bail};
use serde_json::json;

use super::trace::{MicroTrace, StepTrace};
use crate::checkpoint::Position;
use crate::run::{JsonLines, Measured};

const METRICS: &str = "metrics.jsonl";
const TIMINGS: &str = "timings.jsonl";
const TRACE: &str = "trace.jsonl";

/// `metrics.jsonl`, `timings.jsonl` and, if wanted, `trace.jsonl`.
#[derive(Debug)]
pub struct Records {
    metrics: JsonLines,
    timings: JsonLines,
    trace: Option<JsonLines>,
}

impl Records {
    /// Empty files.
    pub fn create(run: &Path, trace: bool) -> Result<Self> {
        let create = |name: &str| JsonLines::create(&run.join(name));
        Ok(Self {
            metrics: create(METRICS)?,
            timings: create(TIMINGS)?,
            trace: if trace { Some(create(TRACE)?) } else { None },
        })
    }

    /// The files of an interrupted run, cut to what they were at its checkpoint. A run that began with a
    /// trace goes on with it.
    ///
    /// # Errors
    /// If a file is gone or shorter than it was, or a trace is wanted that has no beginning.
    pub fn resume(run: &Path, trace: bool, lengths: &BTreeMap<String, u64>) -> Result<Self> {
        let resume = |name: &str| {
            let length = lengths.get(name).copied().unwrap_or(0);
            JsonLines::resume(&run.join(name), length)
        };
        let traced = lengths.contains_key(TRACE);
        if trace && !traced {
            bail!(
                "{}: the run began without --trace; go on without it, or remove checkpoint/ to begin again",
                run.display()
            );
        }
        Ok(Self {
            metrics: resume(METRICS)?,
            timings: resume(TIMINGS)?,
            trace: if traced { Some(resume(TRACE)?) } else { None },
        })
    }

    /// A step that was taken.
    pub fn step(&mut self, epoch: usize, record: &StepTrace) -> Result<()> {
        let mean = |part: fn(&MicroTrace) -> Option<f64>| {
            let parts: Option<Vec<f64>> = record.micro.iter().map(part).collect();
            parts.map(|parts| parts.iter().sum::<f64>() / parts.len() as f64)
        };
        self.metrics.write(&json!({
            "step": record.step, "epoch": epoch, "lr": record.lr, "loss": record.loss,
            "task_loss": mean(|m| Some(m.task_loss)), "consistency_loss": mean(|m| m.consistency_loss),
            "grad_norm": record.grad_norm,
        }))?;
        match &mut self.trace {
            Some(trace) => trace.write(record),
            None => Ok(()),
        }
    }

    /// What the development split said of an epoch.
    pub fn measured(&mut self, measured: &Measured, inference: Option<Inference>) -> Result<()> {
        self.metrics.write(&json!({
            "step": measured.step, "epoch": measured.epoch, "split": "dev", "inference": inference,
            "metrics": measured.metrics,
        }))?;
        self.metrics.flush()
    }

    /// Seconds that a part of an epoch took.
    pub fn took(&mut self, at: Position, part: &str, seconds: f64) -> Result<()> {
        self.timings
            .write(&json!({"epoch": at.epoch, "step": at.step, part: seconds}))?;
        self.timings.flush()
    }

    /// Hands all to the disk and gives the lengths of the files.
    pub fn settle(&mut self) -> Result<BTreeMap<String, u64>> {
        let mut lengths = BTreeMap::new();
        let files = [
            (METRICS, Some(&mut self.metrics)),
            (TIMINGS, Some(&mut self.timings)),
            (TRACE, self.trace.as_mut()),
        ];
        for (name, lines) in files {
            if let Some(lines) = lines {
                lengths.insert(name.to_owned(), lines.settle()?);
            }
        }
        Ok(lengths)
    }
}
