//! Score against trained parameters, the paper's figure 1 in small.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::PALETTE;

/// A method in the figure.
#[derive(Clone, Debug)]
pub struct Point<'a> {
    /// Its name.
    pub name: &'a str,
    /// Parameters that training moves.
    pub parameters: f64,
    /// Its score.
    pub score: f64,
}

/// Draws the points, parameters on a logarithmic axis.
pub fn score_against_parameters(path: &Path, metric: &str, points: &[Point<'_>]) -> Result<()> {
    let fold = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        })
    };
    let (fewest, most) = fold(&mut points.iter().map(|p| p.parameters));
    let (low, high) = fold(&mut points.iter().map(|p| p.score));
    let margin = ((high - low) * 0.15).max(0.01);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (640, 400)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(
                (fewest / 2.0..most * 8.0).log_scale(),
                low - margin..high + margin,
            )?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("trained parameters")
            .y_desc(metric)
            .x_label_formatter(&|v| format!("{v:e}"))
            .label_style(("sans-serif", 14))
            .draw()?;
        chart.draw_series(points.iter().enumerate().map(|(i, point)| {
            let colour = PALETTE[i % PALETTE.len()];
            EmptyElement::at((point.parameters, point.score))
                + Circle::new((0, 0), 6, colour.filled())
                + Text::new(point.name.to_owned(), (10, -7), ("sans-serif", 15))
        }))?;
        area.present()?;
    }
    Ok(adamix_models::hub::write::atomic(path, svg.as_bytes())?)
}
