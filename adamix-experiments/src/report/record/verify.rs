//! A record's scores, recomputed from its outputs.

use adamix_data::metrics::nlg::bleu::{Counts, moses};
use adamix_data::{Target, Task};
use anyhow::{Result, bail, ensure};

use super::{Gold, Outputs, Record, Rule};
use crate::run::Metrics;

impl Record {
    /// Recomputes the scores from the outputs.
    ///
    /// # Errors
    /// If a score is not the one that the record states.
    pub fn verify(&self, task: &Task, gold: &Gold) -> Result<()> {
        let targets = gold.targets();
        for (name, state, rule) in [
            ("best", &self.best, Rule::Best),
            ("last", &self.last, Rule::Last),
        ] {
            let Some(outputs) = self.outputs(rule) else {
                bail!("record {}: no outputs of the {name} epoch", self.id);
            };
            self.check(task, &targets, outputs, &state.metrics, name)?;
        }
        for (name, mode) in &self.modes {
            for draw in &mode.draws {
                self.check(task, &targets, &draw.outputs, &draw.metrics, name)?;
            }
        }
        Ok(())
    }

    /// Recomputes the BLEU of generated texts from what each of them adds to it.
    ///
    /// # Errors
    /// If it is not the one that the record states.
    pub fn verify_texts(&self) -> Result<()> {
        for state in [&self.best, &self.last] {
            if state.bleu.is_empty() {
                continue;
            }
            let counts: Vec<Counts> = state.bleu.iter().map(|kept| self.counts(*kept)).collect();
            let total: Counts = counts.iter().sum();
            let whole = self.perfect_bleu();
            let computed = moses::score(&total) * whole / 100.0;
            // Without any match of some order the scripts of E2E give a little more than nothing.
            let tolerance = if total.matches[3] > 0.0 { 1e-6 } else { 1e-3 };
            let stated = state.metrics.get("bleu").copied().flatten();
            ensure!(
                stated.is_some_and(|stated| (stated - computed).abs() < tolerance * whole),
                "record {}: bleu is stated as {stated:?}, its texts give {computed}",
                self.id
            );
        }
        Ok(())
    }

    /// What a text adds to BLEU, from what was kept of it.
    pub fn counts(&self, kept: [u32; 6]) -> Counts {
        let counts = Counts::from_compact(kept);
        match self.task.as_str() {
            "e2e" => counts.with_less_than_none(),
            _ => counts,
        }
    }

    /// Recomputes the scores of some outputs.
    fn check(
        &self,
        task: &Task,
        targets: &[Target],
        outputs: &Outputs,
        metrics: &Metrics,
        what: &str,
    ) -> Result<()> {
        let id = &self.id;
        ensure!(
            outputs.rows() == targets.len(),
            "record {id}, {what}: {} outputs for {} rows of {}",
            outputs.rows(),
            targets.len(),
            self.gold
        );
        let found = adamix_data::evaluate(task, &outputs.targets(), targets);
        for (metric, stated) in metrics {
            let computed = found.get(metric).copied().flatten();
            let agree = match (computed, stated) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-4,
                (a, b) => a == *b,
            };
            ensure!(
                agree,
                "record {id}, {what}: {metric} is stated as {stated:?}, its outputs give {computed:?}"
            );
        }
        Ok(())
    }
}
