//! What verbs print: progress while they work, a table or JSON when done.

use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::recipe::Certainty;
use crate::run::{Metrics, Tested};

/// A bar on standard error, silent where that is no terminal.
pub fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{prefix}{bar:32} {pos}/{len} {elapsed} (about {eta} left) {msg}";
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(style).expect("a fixed template"));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Moves a bar by rows that are done.
pub fn rows(progress: &ProgressBar) -> impl Fn(u64) -> Result<()> {
    |rows| {
        progress.inc(rows);
        Ok(())
    }
}

/// Text on standard output. A reader that goes away (`| head -1`) is no fault: it has what it wanted.
pub fn out(text: Arguments<'_>) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output cannot be written")
        }
        _ => Ok(()),
    }
}

/// One JSON document on standard output.
pub fn json(value: &impl Serialize) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?)
}

/// `accuracy 0.8431  f1 0.8889`, with a dash where a metric is undefined.
pub fn metrics(metrics: &Metrics) -> String {
    let one = |(name, value): (&String, &Option<f64>)| match value {
        Some(value) => format!("{name} {value:.4}"),
        None => format!("{name} -"),
    };
    metrics.iter().map(one).collect::<Vec<_>>().join("  ")
}

/// How sure a classifier was, and with several paths what they know of it.
pub fn certainty(certainty: &Certainty) -> Result<()> {
    if let Some(error) = certainty.calibration_error {
        say!("  expected calibration error {error:.4}")?;
    }
    let Some(doubt) = certainty.doubt else {
        return Ok(());
    };
    let wrong = |value: Option<f64>| match value {
        Some(value) => format!("{value:.4} where wrong"),
        None => "none is wrong".to_owned(),
    };
    say!(
        "  entropy {:.4} ({}), of it disagreement of the paths {:.4} ({})",
        doubt.entropy,
        wrong(doubt.entropy_where_wrong),
        doubt.mutual_information,
        wrong(doubt.mutual_information_where_wrong)
    )
}

/// What a test split's texts score, a line for each part.
pub fn tested(tested: &Tested) -> Result<()> {
    for (part, scores) in &tested.scores {
        let inputs = tested.inputs.get(part).copied().unwrap_or(0);
        say!("  test {part:<6} ({inputs} inputs)  {}", metrics(scores))?;
    }
    for note in &tested.notes {
        say!("  note: {note}")?;
    }
    Ok(())
}
