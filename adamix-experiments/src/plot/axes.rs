//! Axes: ranges, ticks and their labels.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::style::Canvas;

/// A chart in plain coordinates. A logarithmic axis has the decimal logarithm of its values as coordinates.
pub(super) type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<Ticked, Ticked>>;

/// A coordinate with ticks of our own choice.
pub(super) struct Ticked {
    range: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
}

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// What it measures.
    pub title: String,
    /// From where to where, in coordinates.
    pub range: Range<f64>,
    /// Whether coordinates are decimal logarithms.
    pub log: bool,
    /// Whether it has ticks with labels.
    pub labels: bool,
}

impl Axis {
    /// A linear axis around values, with a margin.
    pub fn around(title: &str, values: impl Iterator<Item = f64>, margin: f64) -> Self {
        let (low, high) = ends(values);
        let width = (high - low).max(1e-9 * low.abs()).max(1e-9);
        Self {
            title: title.to_owned(),
            range: low - margin * width..high + margin * width,
            log: false,
            labels: true,
        }
    }

    /// A logarithmic axis around positive values.
    pub fn log_around(title: &str, values: impl Iterator<Item = f64>, margin: f64) -> Self {
        let axis = Self::around(title, values.map(f64::log10), margin);
        // At least a decade: ticks are powers of ten.
        let lack = (1.0 - (axis.range.end - axis.range.start)).max(0.0) / 2.0;
        Self {
            range: axis.range.start - lack..axis.range.end + lack,
            log: true,
            ..axis
        }
    }

    /// The coordinate of a value.
    pub fn at(&self, value: f64) -> f64 {
        if self.log { value.log10() } else { value }
    }

    /// The coordinates of the ticks: some six round numbers, or powers of ten, with 2 and 5 times them between where
    /// there are few.
    fn ticks(&self) -> Vec<f64> {
        let Range { start, end } = self.range;
        if !self.labels {
            return Vec::new();
        }
        if !self.log {
            let step = round_step((end - start) / 5.0);
            let (first, last) = ((start / step).ceil() as i64, (end / step).floor() as i64);
            return (first..=last).map(|i| i as f64 * step).collect();
        }
        let width = end - start;
        let every = (width / 7.0).ceil().max(1.0) as i32;
        let between: &[f64] = if width < 2.5 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        (start.floor() as i32..=end.ceil() as i32)
            .filter(|power| power.rem_euclid(every) == 0)
            .flat_map(|power| between.iter().map(move |b| f64::from(power) + b.log10()))
            .filter(|tick| (start..=end).contains(tick))
            .collect()
    }

    fn tick(&self, coordinate: f64) -> String {
        if self.log {
            return magnitude(10f64.powf(coordinate));
        }
        number(coordinate, self.range.end - self.range.start)
    }
}

/// 1, 2 or 5 times a power of ten, near a width.
fn round_step(width: f64) -> f64 {
    let power = 10f64.powf(width.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    let near = |step: &f64| (step / width).log10().abs();
    steps
        .into_iter()
        .min_by(|a, b| near(a).total_cmp(&near(b)))
        .unwrap_or(power)
}

/// The least and the largest of some values; 0 and 1 of none.
pub(super) fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// A tick's number with as many decimals as the axis' width asks for.
fn number(value: f64, width: f64) -> String {
    let digits = (1.0 - width.log10().floor()).clamp(0.0, 6.0) as usize;
    let value = if value.abs() < width * 1e-9 {
        0.0
    } else {
        value
    };
    if value.abs() >= 10_000.0 && value.fract() == 0.0 {
        return magnitude(value);
    }
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `1k`, `20M`.
pub(super) fn magnitude(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Draws a frame and returns the chart on it.
pub(super) fn chart<'a, B: DrawingBackend>(
    canvas: &Canvas<'a, B>,
    title: &str,
    x: &Axis,
    y: &Axis,
) -> Result<Chart<'a, B>>
where
    B::ErrorType: 'static,
{
    let mut builder = ChartBuilder::on(canvas.area);
    builder
        .margin(canvas.px(8.0))
        .margin_right(canvas.px(16.0))
        .x_label_area_size(canvas.px(if x.title.is_empty() { 26.0 } else { 44.0 }))
        .y_label_area_size(canvas.px(if y.title.is_empty() { 46.0 } else { 62.0 }));
    if !title.is_empty() {
        builder.caption(title, canvas.label());
    }
    let ticked = |axis: &Axis| Ticked {
        range: axis.range.clone().into(),
        ticks: axis.ticks(),
    };
    let mut chart = builder.build_cartesian_2d(ticked(x), ticked(y))?;
    let theme = canvas.theme;
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .light_line_style(theme.page())
        .bold_line_style(canvas.stroke(theme.grid(), 1.0))
        .axis_style(canvas.stroke(theme.ink(), 1.0))
        .label_style(canvas.small())
        .axis_desc_style(canvas.label())
        .x_desc(x.title.as_str())
        .y_desc(y.title.as_str())
        .set_all_tick_mark_size(canvas.px(4.0));
    mesh.x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|v| x.tick(*v))
        .y_label_formatter(&|v| y.tick(*v))
        .draw()?;
    Ok(chart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short() {
        assert_eq!(number(0.5, 1.0), "0.5");
        assert_eq!(number(80.0, 12.0), "80");
        assert_eq!(number(0.1 + 0.2, 1.0), "0.3");
        assert_eq!(number(40_000.0, 100_000.0), "40k");
        let labels = |axis: &Axis| -> Vec<String> {
            axis.ticks().into_iter().map(|c| axis.tick(c)).collect()
        };
        let wide = Axis::log_around("", [800.0, 2.0e7].into_iter(), 0.0);
        assert_eq!(labels(&wide), ["1k", "10k", "100k", "1M", "10M"]);
        let narrow = Axis::log_around("", [1400.0, 23_000.0].into_iter(), 0.0);
        assert_eq!(labels(&narrow), ["2k", "5k", "10k", "20k"]);
        let linear = Axis::around("", [70.3, 81.0].into_iter(), 0.0);
        assert_eq!(labels(&linear), ["72", "74", "76", "78", "80"]);
        let around_zero = Axis::around("", [-0.11, 0.09].into_iter(), 0.0);
        assert_eq!(labels(&around_zero), ["-0.1", "-0.05", "0", "0.05"]);
    }

    #[test]
    fn one_value_still_makes_an_axis() {
        let axis = Axis::around("", [3.0].into_iter(), 0.1);
        assert!(axis.range.start < 3.0 && axis.range.end > 3.0);
        assert_eq!(ends(std::iter::empty()), (0.0, 1.0));
    }
}
