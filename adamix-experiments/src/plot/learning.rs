//! A run's learning curve: loss by step, scores by epoch.

use anyhow::{Context, Result};
use plotters::prelude::*;
use serde_json::Value;

use super::style::Canvas;
use super::{Curves, Plot, Series, Theme};
use crate::run::RunFolder;

/// Loss above, scores below.
struct Learning {
    panels: [Curves; 2],
}

impl Plot for Learning {
    fn size(&self) -> (u32, u32) {
        (720, 560)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let areas = canvas.area.split_evenly((2, 1));
        for (area, panel) in areas.iter().zip(&self.panels) {
            if panel.series.iter().any(|s| !s.points.is_empty()) {
                panel.draw(&canvas.on(area))?;
            }
        }
        Ok(())
    }
}

/// Draws `curve.svg` from `metrics.jsonl`.
pub fn learning_curve(folder: &RunFolder) -> Result<()> {
    let path = folder.file("metrics.jsonl");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    let mut losses = Vec::new();
    let mut scores: Vec<Series> = Vec::new();
    for line in text.lines() {
        let record: Value =
            serde_json::from_str(line).with_context(|| path.display().to_string())?;
        let step = record["step"].as_f64().unwrap_or_default();
        if let Some(loss) = record["loss"].as_f64() {
            losses.push((step, loss));
        }
        for (name, value) in record["metrics"].as_object().into_iter().flatten() {
            let Some(value) = value.as_f64() else {
                continue;
            };
            match scores.iter_mut().find(|series| series.name == *name) {
                Some(series) => series.points.push((step, value)),
                None => scores.push(Series {
                    name: name.clone(),
                    points: vec![(step, value)],
                    marked: true,
                    ..Series::default()
                }),
            }
        }
    }
    let svg = super::svg(&learning(losses, scores), Theme::Light)?;
    Ok(adamix_models::hub::write::atomic(
        &folder.file("curve.svg"),
        svg.as_bytes(),
    )?)
}

fn learning(losses: Vec<(f64, f64)>, scores: Vec<Series>) -> Learning {
    let smooth = smoothed(&losses);
    let line = |name: &str, points, faint| Series {
        name: name.to_owned(),
        points,
        faint,
        ..Series::default()
    };
    let panel = |title: &str, series| Curves {
        title: title.to_owned(),
        x_title: "step".to_owned(),
        y_title: String::new(),
        log: false,
        series,
    };
    Learning {
        panels: [
            panel(
                "training loss",
                vec![
                    line("each step", losses, true),
                    line("running mean", smooth, false),
                ],
            ),
            panel("development score", scores),
        ],
    }
}

/// The mean of the last twentieth of the run at each step.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let window = (points.len() / 20).max(1);
    let mean = |i: usize| {
        let part = &points[(i + 1).saturating_sub(window)..=i];
        part.iter().map(|(_, y)| y).sum::<f64>() / part.len() as f64
    };
    (0..points.len()).map(|i| (points[i].0, mean(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_drawn_and_named() {
        let score = Series {
            name: "accuracy".to_owned(),
            points: vec![(2.0, 0.5)],
            marked: true,
            ..Series::default()
        };
        let learning = learning(vec![(1.0, 0.7), (2.0, 0.6)], vec![score]);
        let svg = crate::plot::svg(&learning, Theme::Light).unwrap();
        for part in [
            "training loss",
            "running mean",
            "development score",
            "<polyline",
            "<circle",
        ] {
            assert!(svg.contains(part), "{part}");
        }
    }
}
