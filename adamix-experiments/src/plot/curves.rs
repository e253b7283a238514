//! Lines over steps, epochs or tasks, with bands over seeds.

use std::ops::Range;

use anyhow::Result;
use plotters::prelude::*;

use super::Plot;
use super::axes::{Axis, chart};
use super::style::Canvas;

/// Lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// A heading within the picture; empty for none.
    pub title: String,
    /// What the horizontal axis measures.
    pub x_title: String,
    /// What the vertical axis measures.
    pub y_title: String,
    /// Whether the vertical axis is logarithmic.
    pub log: bool,
    /// The lines.
    pub series: Vec<Series>,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// A band around it: x, lower and upper end.
    pub band: Vec<(f64, f64, f64)>,
    /// Drawn pale, as the single steps behind a running mean.
    pub faint: bool,
    /// Whether each point is marked: few points, or only one, would make no line to see.
    pub marked: bool,
}

impl Plot for Curves {
    fn size(&self) -> (u32, u32) {
        (480, 320)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let theme = canvas.theme;
        let points = || self.series.iter().flat_map(|s| &s.points);
        let bands = || self.series.iter().flat_map(|s| &s.band);
        let x = Axis {
            range: 0.0..points().map(|p| p.0).fold(1.0, f64::max),
            ..Axis::around(&self.x_title, std::iter::empty(), 0.0)
        };
        let heights = points()
            .map(|p| p.1)
            .chain(bands().flat_map(|b| [b.1, b.2]));
        let y = match self.log {
            true => Axis::log_around(&self.y_title, heights, 0.08),
            false => Axis::around(&self.y_title, heights, 0.08),
        };
        let mut chart = chart(canvas, &self.title, &x, &y)?;
        for (i, series) in self.series.iter().enumerate() {
            let colour = theme.series(i);
            if !series.band.is_empty() {
                let lower = series.band.iter().map(|(at, low, _)| (*at, y.at(*low)));
                let upper = series
                    .band
                    .iter()
                    .rev()
                    .map(|(at, _, high)| (*at, y.at(*high)));
                let outline: Vec<(f64, f64)> = lower.chain(upper).collect();
                chart.draw_series([Polygon::new(outline, colour.mix(0.22).filled())])?;
            }
            let line = series.points.iter().map(|(at, value)| (*at, y.at(*value)));
            let width = canvas.len(if series.faint { 1.0 } else { 2.0 });
            let style = colour
                .mix(if series.faint { 0.3 } else { 1.0 })
                .stroke_width(width);
            if series.marked {
                let r = canvas.px(3.5);
                chart.draw_series(line.clone().map(|at| Circle::new(at, r, colour.filled())))?;
            }
            let swatch = canvas.px(18.0);
            chart
                .draw_series(LineSeries::new(line, style))?
                .label(&series.name)
                .legend(move |(left, middle)| {
                    PathElement::new(vec![(left, middle), (left + swatch, middle)], style)
                });
        }
        if self.series.len() > 1 {
            chart
                .configure_series_labels()
                .position(self.corner(&x, &y))
                .background_style(theme.page().mix(0.85))
                .border_style(canvas.stroke(theme.grid(), 1.0))
                .label_font(canvas.small())
                .legend_area_size(canvas.px(26.0))
                .margin(canvas.px(6.0))
                .draw()?;
        }
        Ok(())
    }
}

impl Curves {
    /// The corner, or middle of a side, that the fewest points lie in.
    fn corner(&self, x: &Axis, y: &Axis) -> SeriesLabelPosition {
        let [lower, middle, upper] = [0.0..0.42, 0.28..0.72, 0.58..1.0];
        let count = |right: bool, rows: &Range<f64>| {
            let inside = |(at, value): &(f64, f64)| {
                let across = (at - x.range.start) / (x.range.end - x.range.start);
                let along = (y.at(*value) - y.range.start) / (y.range.end - y.range.start);
                (if right { across > 0.5 } else { across < 0.5 }) && rows.contains(&along)
            };
            let of = |s: &Series| {
                s.points.iter().filter(|p| inside(p)).count() as f64 / s.points.len().max(1) as f64
            };
            self.series.iter().map(of).sum::<f64>()
        };
        let corners = [
            (SeriesLabelPosition::UpperRight, count(true, &upper)),
            (SeriesLabelPosition::LowerRight, count(true, &lower)),
            (SeriesLabelPosition::UpperLeft, count(false, &upper)),
            (SeriesLabelPosition::LowerLeft, count(false, &lower)),
            (SeriesLabelPosition::MiddleRight, count(true, &middle)),
            (SeriesLabelPosition::MiddleLeft, count(false, &middle)),
        ];
        let least = corners.into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
        least.map_or(SeriesLabelPosition::UpperRight, |(corner, _)| corner)
    }
}
