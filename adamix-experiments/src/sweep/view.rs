//! What a sweep on this machine shows: a live table on a terminal, a line a run elsewhere.

use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::memory;

/// The display, on standard error.
pub(super) struct View {
    all: MultiProgress,
    rows: Vec<ProgressBar>,
    total: ProgressBar,
    live: bool,
}

impl View {
    /// For so many runs at once, out of so many.
    pub(super) fn new(slots: usize, runs: usize) -> Self {
        let live = std::io::stderr().is_terminal();
        let all = MultiProgress::new();
        let style = |template| ProgressStyle::with_template(template).expect("a fixed template");
        let mut rows = Vec::new();
        if live {
            for _ in 0..slots {
                let row = all.add(ProgressBar::new_spinner());
                row.set_style(style("{spinner} {prefix} {elapsed:>5} {msg}"));
                row.enable_steady_tick(Duration::from_millis(500));
                rows.push(row);
            }
        }
        let total = match live {
            true => all.add(ProgressBar::new(runs as u64)),
            false => ProgressBar::hidden(),
        };
        total.set_length(runs as u64);
        total.set_style(style("{bar:32} {pos}/{len} runs {elapsed} {msg}"));
        Self {
            all,
            rows,
            total,
            live,
        }
    }

    /// A slot got a run.
    pub(super) fn begins(&self, slot: usize, what: &str) {
        if let Some(row) = self.rows.get(slot) {
            row.reset_elapsed();
            row.set_prefix(what.to_owned());
            row.set_message("");
        }
    }

    /// A slot's run goes on.
    pub(super) fn goes_on(&self, slot: usize, run: &Path, pid: u32) {
        let Some(row) = self.rows.get(slot) else {
            return;
        };
        let mut message = last_step(&run.join("metrics.jsonl")).unwrap_or_default();
        if let Some(bytes) = memory::peak(pid) {
            message += &format!("  {} MiB", bytes >> 20);
        }
        row.set_message(message);
    }

    /// A slot's run ended.
    pub(super) fn ends(&self, slot: usize, line: &str, counts: bool) {
        if let Some(row) = self.rows.get(slot) {
            row.set_prefix("");
            row.set_message("idle");
        }
        if counts {
            self.total.inc(1);
        }
        self.say(line);
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        if self.live {
            // A terminal that went away is no reason to end the sweep.
            let _ = self.all.println(line);
        } else {
            eprintln!("{line}");
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        for row in &self.rows {
            row.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}

/// `epoch 2 step 120 loss 0.4312`, of the last whole line that is a step.
fn last_step(path: &Path) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096)))
        .ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        let loss = record.get("loss")?.as_f64()?;
        Some(format!(
            "epoch {} step {} loss {loss:.4}",
            record["epoch"], record["step"]
        ))
    };
    text.lines().rev().find_map(line)
}
