//! Score against trained parameters: the paper's figure 1.

use anyhow::Result;
use plotters::prelude::*;

use super::Plot;
use super::axes::{Axis, chart};
use super::style::Canvas;
use crate::statistics::Interval;

/// Score against trained parameters, which are on a logarithmic axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// What the horizontal axis counts.
    pub x_title: String,
    /// What the vertical axis measures.
    pub y_title: String,
    /// The methods.
    pub points: Vec<Point>,
    /// A horizontal line with its name, such as full fine-tuning in the paper's figure.
    pub line: Option<(String, f64)>,
}

/// A method in the figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its name.
    pub name: String,
    /// Parameters.
    pub x: f64,
    /// Its score.
    pub y: f64,
    /// The interval of the score.
    pub interval: Option<Interval>,
}

/// A box on the canvas: left, top, right, bottom.
type Box4 = (i32, i32, i32, i32);

impl Plot for Scatter {
    fn size(&self) -> (u32, u32) {
        (480, 340)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let theme = canvas.theme;
        let x = Axis::log_around(&self.x_title, self.points.iter().map(|p| p.x), 0.16);
        let heights = self.points.iter().flat_map(|p| {
            let ends = p.interval.map_or([p.y, p.y], |i| [i.low, i.high]);
            ends.into_iter().chain([p.y])
        });
        let line = self.line.iter().map(|(_, y)| *y);
        let y = Axis::around(&self.y_title, heights.chain(line), 0.12);
        let mut chart = chart(canvas, "", &x, &y)?;
        if let Some((_, value)) = &self.line {
            let ends = [(x.range.start, *value), (x.range.end, *value)];
            chart.draw_series(DashedLineSeries::new(
                ends,
                canvas.px(6.0),
                canvas.px(4.0),
                canvas.stroke(theme.soft(), 1.5),
            ))?;
        }
        for (i, point) in self.points.iter().enumerate() {
            let colour = theme.series(i);
            let place = x.at(point.x);
            if let Some(interval) = point.interval {
                let bar = vec![(place, interval.low), (place, interval.high)];
                chart.draw_series([PathElement::new(bar, canvas.stroke(colour, 1.5))])?;
            }
            chart.draw_series([Circle::new(
                (place, point.y),
                canvas.px(5.0),
                colour.filled(),
            )])?;
        }
        // Labels last, each where it hides no mark and no other label.
        let area = chart.plotting_area();
        let (width, height) = canvas.area.dim_in_pixel();
        let origin = canvas.area.get_base_pixel();
        let place = |p: &Point| {
            let (px, py) = area.map_coordinate(&(x.at(p.x), p.y));
            (px - origin.0, py - origin.1)
        };
        let r = canvas.px(7.0);
        let mut taken: Vec<Box4> = self
            .points
            .iter()
            .map(|p| {
                let (px, py) = place(p);
                (px - r, py - r, px + r, py + r)
            })
            .collect();
        let style = canvas.small();
        for (i, point) in self.points.iter().enumerate() {
            let (w, h) = canvas.area.estimate_text_size(&point.name, &style)?;
            let (w, h) = (w as i32, h as i32);
            let (px, py) = place(point);
            let gap = canvas.px(3.0);
            let candidates = [
                (px + r, py - h / 2),
                (px - r - w, py - h / 2),
                (px - w / 2, py - r - h - gap),
                (px - w / 2, py + r),
                (px + r, py - h - gap),
                (px + r, py + gap),
                (px - r - w, py - h - gap),
                (px - r - w, py + gap),
            ];
            let as_box = |(left, top): (i32, i32)| (left, top, left + w, top + h);
            let inside = |b: &Box4| {
                b.0 >= canvas.px(62.0)
                    && b.1 >= 0
                    && b.2 <= width as i32
                    && b.3 <= height as i32 - canvas.px(44.0)
            };
            let free = |b: &Box4| {
                let apart = |t: &Box4| b.2 <= t.0 || t.2 <= b.0 || b.3 <= t.1 || t.3 <= b.1;
                taken.iter().enumerate().all(|(k, t)| k == i || apart(t))
            };
            let fits = |b: &Box4| inside(b) && free(b);
            let best = candidates.into_iter().map(as_box).find(fits);
            // Where all is full: further and further below, then above.
            let further = (1..12).flat_map(|k| [k * h, -k * h]);
            let further = further.map(|d| as_box((px + r, py - h / 2 + d))).find(fits);
            let chosen = best.or(further).unwrap_or_else(|| as_box(candidates[0]));
            taken.push(chosen);
            // Lines and whiskers do not run through the words.
            canvas.area.draw(&Rectangle::new(
                [(chosen.0, chosen.1 + gap / 2), (chosen.2, chosen.3)],
                theme.page().mix(0.85).filled(),
            ))?;
            canvas
                .area
                .draw_text(&point.name, &style, (chosen.0, chosen.1))?;
        }
        if let Some((name, value)) = &self.line {
            let (px, py) = area.map_coordinate(&(x.range.start, *value));
            let at = (
                px - origin.0 + canvas.px(6.0),
                py - origin.1 - canvas.px(17.0),
            );
            canvas
                .area
                .draw_text(name, &style.color(&theme.soft()), at)?;
        }
        Ok(())
    }
}
