//! `adamix demo`: the main job on what the program carries.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use super::show;
use crate::config;
use crate::interrupt::Interrupt;
use crate::plot::{self, Point, Scatter, Theme};
use crate::recipe::{self, Sitting};
use crate::run::RunResult;

/// What each method trains with: its name, its learning rate and its title.
const METHODS: [(&str, &str, &str); 4] = [
    ("head", "5e-3", "head only"),
    ("full", "5e-4", "full fine-tuning"),
    ("adapter", "5e-3", "one adapter"),
    ("adamix", "5e-3", "AdaMix, 4 experts"),
];

/// Compare full fine-tuning, one adapter and AdaMix on what the program ships: no files, no network.
#[derive(Debug, Args)]
#[command(after_help = "\
The task is synthetic: sentences of a small grammar whose label needs more than single words. The encoder is the \
small one that the program carries. The figures show that the method runs, not how good it is on real text.")]
pub struct Demo {
    /// Where the runs and the picture go.
    #[arg(long, default_value = "runs/demo")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub fn run(self) -> Result<()> {
        let interrupt = Interrupt::on_signals()?;
        let mut results: Vec<(&str, RunResult)> = Vec::new();
        for (method, rate, title) in METHODS {
            let settings = [
                format!("adaptation.method={method}"),
                format!("optimizer.learning_rate={rate}"),
                "backbone.pooling=mean".to_owned(),
                "schedule.epochs=6".to_owned(),
            ];
            let config = config::read(None, &settings)?;
            let progress = show::progress();
            progress.set_prefix(format!("{title:<18} "));
            let sitting = Sitting {
                progress: progress.clone(),
                interrupt: interrupt.clone(),
                ..Sitting::quiet("flex")
            };
            let outcome = recipe::train(&config, Some(&self.out.join(method)), &sitting)?;
            progress.finish_and_clear();
            results.push((title, outcome.result));
        }
        let picture = self.out.join("scores.svg");
        let scatter = Scatter {
            x_title: "trained parameters".to_owned(),
            y_title: "accuracy".to_owned(),
            points: points(&results),
            line: None,
        };
        let svg = plot::svg(&scatter, Theme::Light)?;
        adamix_models::hub::write::atomic(&picture, svg.as_bytes())?;
        if self.json {
            let by_name: std::collections::BTreeMap<_, _> = results.into_iter().collect();
            return show::json(&by_name);
        }
        say!(
            "synthetic task, {} training rows, {} development rows, one seed",
            results[0].1.rows["train"],
            results[0].1.rows["dev"]
        )?;
        say!("{}", table(&results))?;
        say!("{}", picture.display())?;
        Ok(())
    }
}

fn accuracy(result: &RunResult) -> f64 {
    result
        .last
        .metrics
        .get("accuracy")
        .copied()
        .flatten()
        .unwrap_or(f64::NAN)
}

fn points(results: &[(&str, RunResult)]) -> Vec<Point> {
    let point = |(name, result): &(&str, RunResult)| Point {
        name: (*name).to_owned(),
        x: result.parameters.trained as f64,
        y: accuracy(result),
        interval: None,
    };
    results.iter().map(point).collect()
}

fn table(results: &[(&str, RunResult)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "method",
        "trained",
        "merged, no head",
        "accuracy, last epoch",
        "best epoch",
        "seconds",
    ]);
    for (name, result) in results {
        let best = result
            .best
            .metrics
            .get("accuracy")
            .copied()
            .flatten()
            .unwrap_or(f64::NAN);
        table.add_row([
            (*name).to_owned(),
            result.parameters.trained.to_string(),
            result.parameters.merged.to_string(),
            format!("{:.3}", accuracy(result)),
            format!("{best:.3}"),
            format!("{:.0}", result.seconds["total"]),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
