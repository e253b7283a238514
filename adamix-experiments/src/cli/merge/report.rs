//! What `adamix merge` says of its results.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::cli::show;
use crate::config::Merging;
use crate::merge::{Comparison, Distance, Found};
use crate::run::Metrics;

/// What became of a rule.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Merged(Box<Report>),
    Refused {
        runs: Vec<PathBuf>,
        merging: Merging,
        refused: String,
    },
}

/// `merge.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    pub runs: Vec<PathBuf>,
    /// The `[merging]` table.
    pub merging: Merging,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
    /// What data a rule has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gathered: Option<Part>,
    /// On the development split.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Rows of the training split.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Part {
    pub rows: usize,
    /// Whether the runs were trained on them.
    pub trained_on: bool,
}

impl Report {
    /// On standard output, in a few lines.
    pub fn say(&self) -> Result<()> {
        let out = (self.out.as_ref()).map(|out| format!(" -> {}", out.display()));
        say!(
            "{}, merged by `{}`{}",
            what(&self.runs, &self.comparison),
            self.merging.rule,
            out.unwrap_or_default()
        )?;
        self.say_data()?;
        comparison(&self.comparison)
    }

    /// What data the rule has seen, and what it found.
    fn say_data(&self) -> Result<()> {
        if let Some(part) = self.gathered {
            let note = if part.trained_on {
                "the runs were trained on them; input.kept_for_merging keeps some"
            } else {
                "kept from training"
            };
            say!(
                "  looked at {} rows of the training split ({note})",
                part.rows
            )?;
        }
        for found in &self.found {
            say!("  found {}", serde_json::to_string(found)?)?;
        }
        Ok(())
    }
}

fn what(runs: &[PathBuf], found: &Comparison) -> String {
    match runs {
        [run] => format!("{} experts of {}", found.experts.len(), run.display()),
        _ => format!("{} runs", runs.len()),
    }
}

/// Rules beside each other, in a few lines each.
pub fn say_all(outcomes: &[Outcome]) -> Result<()> {
    for outcome in outcomes {
        match outcome {
            Outcome::Merged(report) => {
                let found = &report.comparison;
                say!(
                    "{}\n  {}\n  of the ensemble ({}): {}",
                    report.merging.rule,
                    show::metrics(&found.merged),
                    show::metrics(&found.ensemble),
                    distance(&found.distance)
                )?;
                report.say_data()?;
            }
            Outcome::Refused {
                merging, refused, ..
            } => say!("{}\n  refused: {refused}", merging.rule)?,
        }
    }
    Ok(())
}

fn distance(distance: &Distance) -> String {
    let agreement = distance.agreement.map(|a| format!("; agreement {a:.4}"));
    format!(
        "logits differ by {:.4} (root mean square), {:.4} at most{}",
        distance.logits,
        distance.largest,
        agreement.unwrap_or_default()
    )
}

/// A comparison in a few lines.
pub fn comparison(found: &Comparison) -> Result<()> {
    let scores = |name: &str, metrics: &Metrics| say!("  {name:<10} {}", show::metrics(metrics));
    scores("merged", &found.merged)?;
    scores("ensemble", &found.ensemble)?;
    for (i, metrics) in found.experts.iter().enumerate() {
        scores(&format!("expert {i}"), metrics)?;
    }
    say!(
        "  of the ensemble, over {} answers: {}; variance of the experts' logits {:.3e}",
        found.answers,
        distance(&found.distance),
        found.expert_variance
    )?;
    if let Some((metrics, from)) = &found.routed {
        scores("routed", metrics)?;
        say!("  of the model as its policy runs it: {}", distance(from))?;
    }
    Ok(())
}
