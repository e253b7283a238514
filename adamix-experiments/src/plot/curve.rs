//! A run's learning curve: loss by step, scores by epoch.

use std::path::Path;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::PALETTE;
use crate::run::{RunFolder, read_metrics};

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A named line of a panel.
struct Series<'a> {
    name: &'a str,
    points: &'a [(f64, f64)],
    opacity: f64,
    /// Whether each point is marked: few points, or only one, would make no line to see.
    marked: bool,
}

/// Draws `curve.svg` from `metrics.jsonl`.
pub fn learning_curve(folder: &RunFolder) -> Result<()> {
    let mut losses = Vec::new();
    let mut scores: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for record in read_metrics(folder.path())? {
        let step = record["step"].as_f64().unwrap_or_default();
        if let Some(loss) = record["loss"].as_f64() {
            losses.push((step, loss));
        }
        for (name, value) in record["metrics"].as_object().into_iter().flatten() {
            let Some(value) = value.as_f64() else {
                continue;
            };
            match scores.iter_mut().find(|(known, _)| known == name) {
                Some((_, points)) => points.push((step, value)),
                None => scores.push((name.clone(), vec![(step, value)])),
            }
        }
    }
    write(&folder.file("curve.svg"), &losses, &scores)
}

fn write(path: &Path, losses: &[(f64, f64)], scores: &[(String, Vec<(f64, f64)>)]) -> Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 520)).into_drawing_area();
        area.fill(&WHITE)?;
        let panels = area.split_evenly((2, 1));
        let smooth = smoothed(losses);
        let line = |name, points, opacity, marked| Series {
            name,
            points,
            opacity,
            marked,
        };
        panel(
            &panels[0],
            "training loss",
            &[
                line("each step", losses, 0.25, false),
                line("running mean", &smooth, 1.0, false),
            ],
        )?;
        let series: Vec<Series<'_>> = scores
            .iter()
            .map(|(name, points)| line(name, points, 1.0, true))
            .collect();
        panel(&panels[1], "development score", &series)?;
        area.present()?;
    }
    Ok(adamix_models::hub::write::atomic(path, svg.as_bytes())?)
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

fn panel(area: &Panel<'_>, title: &str, series: &[Series<'_>]) -> Result<()> {
    let points = || series.iter().flat_map(|line| line.points.iter());
    let right = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let low = points().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let high = points().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() {
        return Ok(());
    }
    let margin = ((high - low) * 0.08).max(1e-3);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .margin_right(26)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..right, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("step")
        .x_label_formatter(&|step| format!("{step:.0}"))
        .label_style(("sans-serif", 13))
        .draw()?;
    for (i, line) in series.iter().enumerate() {
        let colour = PALETTE[i % PALETTE.len()];
        if line.marked {
            let mark = |point: &(f64, f64)| Circle::new(*point, 3, colour.filled());
            chart.draw_series(line.points.iter().map(mark))?;
        }
        let style = colour.mix(line.opacity).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.name)
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
            });
    }
    let marked = series.iter().any(|line| line.marked);
    let place = if marked {
        SeriesLabelPosition::LowerRight
    } else {
        SeriesLabelPosition::UpperRight
    };
    chart
        .configure_series_labels()
        .position(place)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_drawn_and_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("curve.svg");
        let scores = [("accuracy".to_owned(), vec![(2.0, 0.5)])];
        write(&path, &[(1.0, 0.7), (2.0, 0.6)], &scores).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for part in [
            "training loss",
            "running mean",
            "accuracy",
            "<polyline",
            "<circle",
        ] {
            assert!(svg.contains(part), "{part}");
        }
    }
}
