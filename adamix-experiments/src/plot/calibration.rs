//! How often a model is right when it says that it is sure.

use adamix_data::metrics::{self, reliability};
use anyhow::Result;
use plotters::prelude::*;

use super::Plot;
use super::axes::{Axis, chart};
use super::style::Canvas;

/// Accuracy against confidence, in bins of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Models by name: each row's confidence, and whether it was right.
    pub models: Vec<(String, Vec<(f64, bool)>)>,
    /// Bins.
    pub bins: usize,
}

/// The filled bins: mean confidence, accuracy and share of rows.
fn bins(rows: &[(f64, bool)], count: usize) -> Vec<(f64, f64, f64)> {
    let share = |n: usize| n as f64 / rows.len() as f64;
    let filled = reliability(rows, count).into_iter();
    let filled = filled.filter_map(|bin| Some((bin.confidence?, bin.accuracy?, share(bin.rows))));
    filled.collect()
}

/// The expected calibration error; 0 for no rows.
pub fn calibration_error(rows: &[(f64, bool)], count: usize) -> f64 {
    metrics::calibration_error(&reliability(rows, count)).unwrap_or(0.0)
}

impl Plot for Calibration {
    fn size(&self) -> (u32, u32) {
        (420, 400)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let theme = canvas.theme;
        let least = self
            .models
            .iter()
            .flat_map(|(_, rows)| rows)
            .map(|(c, _)| *c);
        let start = (least.fold(1.0, f64::min) * 10.0).floor() / 10.0;
        let axis = |title: &str, start: f64| Axis {
            range: start..1.02,
            ..Axis::around(title, std::iter::empty(), 0.0)
        };
        let (x, y) = (axis("confidence", start.min(0.9)), axis("accuracy", 0.0));
        let mut chart = chart(canvas, "", &x, &y)?;
        chart.draw_series(DashedLineSeries::new(
            [(x.range.start, x.range.start), (1.0, 1.0)],
            canvas.px(6.0),
            canvas.px(4.0),
            canvas.stroke(theme.soft(), 1.5),
        ))?;
        for (i, (name, rows)) in self.models.iter().enumerate() {
            let colour = theme.series(i);
            let found = bins(rows, self.bins);
            let line = found
                .iter()
                .map(|(confidence, accuracy, _)| (*confidence, *accuracy));
            let marks = found.iter().map(|(confidence, accuracy, share)| {
                // A mark's area is the share of rows in its bin.
                let radius = canvas.px(2.0 + 9.0 * share.sqrt());
                Circle::new((*confidence, *accuracy), radius, colour.mix(0.6).filled())
            });
            chart.draw_series(marks)?;
            let style = canvas.stroke(colour, 2.0);
            let label = format!("{name}, error {:.3}", calibration_error(rows, self.bins));
            let swatch = canvas.px(18.0);
            chart
                .draw_series(LineSeries::new(line, style))?
                .label(label)
                .legend(move |(left, middle)| {
                    PathElement::new(vec![(left, middle), (left + swatch, middle)], style)
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(theme.page().mix(0.85))
            .border_style(canvas.stroke(theme.grid(), 1.0))
            .label_font(canvas.small())
            .legend_area_size(canvas.px(26.0))
            .margin(canvas.px(6.0))
            .draw()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_mean_gap() {
        // Ten rows at 0.95, nine right: gap 0.05. Ten at 0.55, five right: gap 0.05.
        let row = |confidence: f64, right: usize| (0..10).map(move |i| (confidence, i < right));
        let rows: Vec<(f64, bool)> = row(0.95, 9).chain(row(0.55, 5)).collect();
        assert!((calibration_error(&rows, 10) - 0.05).abs() < 1e-12);
        // A model that is always sure and right half of the time: gap 0.5.
        let sure: Vec<(f64, bool)> = row(1.0, 5).collect();
        assert!((calibration_error(&sure, 10) - 0.5).abs() < 1e-12);
    }
}
