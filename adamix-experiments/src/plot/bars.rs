//! Differences from a reference, with intervals: ablations.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Plot;
use super::axes::{Axis, chart};
use super::style::Canvas;
use crate::statistics::Interval;

/// Horizontal bars from zero, one a variant and task.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What the bars measure.
    pub x_title: String,
    /// The bars, from the top.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The variant and task.
    pub name: String,
    /// The difference.
    pub value: f64,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Which colour: bars of one task share one.
    pub group: usize,
    /// The paper's difference, drawn as a ring in the ink of the axes.
    pub paper: Option<f64>,
}

/// Room that a chart keeps left of its frame, in points.
const AXIS: f64 = 54.0;

impl Plot for Bars {
    fn size(&self) -> (u32, u32) {
        (480, 76 + 30 * self.bars.len() as u32)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let theme = canvas.theme;
        let values = self.bars.iter().flat_map(|b| {
            let ends = b.interval.map_or([b.value, b.value], |i| [i.low, i.high]);
            ends.into_iter().chain([b.value]).chain(b.paper)
        });
        let x = Axis::around(&self.x_title, values.chain([0.0]), 0.08);
        let y = Axis {
            title: String::new(),
            range: self.bars.len() as f64 - 0.5..-0.5,
            log: false,
            labels: false,
        };
        let style = canvas.anchored(HPos::Right, VPos::Center);
        let mut names = 0;
        for bar in &self.bars {
            names = names.max(canvas.area.estimate_text_size(&bar.name, &style)?.0);
        }
        // The chart keeps room for a vertical axis, which this one does not have.
        let left = names as i32 + canvas.px(20.0 - AXIS);
        let (_, right) = canvas.area.split_horizontally(left.max(0));
        let inner = canvas.on(&right);
        let mut chart = chart(&inner, "", &x, &y)?;
        chart.draw_series([PathElement::new(
            vec![(0.0, y.range.start), (0.0, y.range.end)],
            canvas.stroke(theme.ink(), 1.2),
        )])?;
        let origin = canvas.area.get_base_pixel();
        for (i, bar) in self.bars.iter().enumerate() {
            let at = i as f64;
            let colour = theme.series(bar.group);
            let corners = [(0.0, at - 0.3), (bar.value, at + 0.3)];
            chart.draw_series([Rectangle::new(corners, colour.mix(0.75).filled())])?;
            if let Some(Interval { low, high }) = bar.interval {
                let whisker = canvas.stroke(theme.ink(), 1.5);
                let ends = [low, high]
                    .map(|v| PathElement::new(vec![(v, at - 0.14), (v, at + 0.14)], whisker));
                chart.draw_series([PathElement::new(vec![(low, at), (high, at)], whisker)])?;
                chart.draw_series(ends)?;
            }
            if let Some(paper) = bar.paper {
                let ring = canvas.stroke(theme.ink(), 1.5);
                chart.draw_series([
                    Circle::new((paper, at), canvas.px(4.5), theme.page().filled()),
                    Circle::new((paper, at), canvas.px(4.5), ring),
                ])?;
            }
            let (px, py) = chart.plotting_area().map_coordinate(&(x.range.start, at));
            let place = (px - origin.0 - canvas.px(10.0), py - origin.1);
            canvas.area.draw_text(&bar.name, &style, place)?;
        }
        Ok(())
    }
}
