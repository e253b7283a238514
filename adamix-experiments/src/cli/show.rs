//! What verbs print: progress while they work, a table or JSON when done.

use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::run::Metrics;

/// A bar on standard error, silent where that is no terminal.
pub fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{bar:32} {pos}/{len} {elapsed} (about {eta} left) {msg}";
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(style).expect("a fixed template"));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// One JSON document on standard output.
pub fn json(value: &impl Serialize) -> Result<()> {
    out(format_args!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Text on standard output. A reader that went away, such as `head`, is no fault.
pub fn out(text: Arguments) -> Result<()> {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// `accuracy 0.8431  f1 0.8889`, with a dash where a metric is undefined.
pub fn metrics(metrics: &Metrics) -> String {
    let one = |(name, value): (&String, &Option<f64>)| match value {
        Some(value) => format!("{name} {value:.4}"),
        None => format!("{name} -"),
    };
    metrics.iter().map(one).collect::<Vec<_>>().join("  ")
}
