//! Violins of repeated random inference beside the merged model: the paper's figure 5.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Plot;
use super::axes::{Axis, chart, ends};
use super::style::Canvas;

/// Panels of violins, each with its own scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Violins {
    /// What the vertical axes measure.
    pub y_title: String,
    /// One panel a task.
    pub panels: Vec<Panel>,
    /// What the dots are.
    pub mark: String,
}

/// The violins of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The task.
    pub title: String,
    /// One a run.
    pub violins: Vec<Violin>,
}

/// Room for the note below the panels, in points.
const NOTE: u32 = 16;

/// The scores of one trained model.
#[derive(Clone, Debug, PartialEq)]
pub struct Violin {
    /// Under the violin.
    pub name: String,
    /// One score a draw.
    pub values: Vec<f64>,
    /// The score of the dot.
    pub mark: Option<f64>,
}

impl Plot for Violins {
    fn size(&self) -> (u32, u32) {
        (
            180 * (self.panels.len().clamp(1, 4) as u32).max(2),
            300 * self.rows() + NOTE,
        )
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let columns = self.panels.len().clamp(1, 4);
        let height = canvas.len(f64::from(300 * self.rows()));
        let (panels, _) = canvas.area.split_vertically(height);
        let areas = panels.split_evenly((self.rows() as usize, columns));
        for (i, (area, panel)) in areas.iter().zip(&self.panels).enumerate() {
            let title = if i % columns == 0 {
                self.y_title.as_str()
            } else {
                ""
            };
            panel.draw(&canvas.on(area), title)?;
        }
        let note = format!("dot: {}", self.mark);
        let (width, height) = canvas.area.dim_in_pixel();
        let at = (
            width as i32 - canvas.px(10.0),
            height as i32 - canvas.px(4.0),
        );
        let style = canvas.anchored(HPos::Right, VPos::Bottom);
        canvas.area.draw_text(&note, &style, at)?;
        Ok(())
    }
}

impl Violins {
    fn rows(&self) -> u32 {
        self.panels.len().div_ceil(4).max(1) as u32
    }
}

impl Panel {
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, y_title: &str) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let theme = canvas.theme;
        let values = self
            .violins
            .iter()
            .flat_map(|v| v.values.iter().copied().chain(v.mark));
        let y = Axis::around(y_title, values, 0.15);
        let x = Axis {
            title: String::new(),
            range: -0.6..self.violins.len() as f64 - 0.4,
            log: false,
            labels: false,
        };
        let mut chart = chart(canvas, &self.title, &x, &y)?;
        for (i, violin) in self.violins.iter().enumerate() {
            let centre = i as f64;
            let shape = outline(&violin.values);
            let right = shape.iter().map(|(v, w)| (centre + 0.4 * w, *v));
            let left = shape.iter().rev().map(|(v, w)| (centre - 0.4 * w, *v));
            let points: Vec<(f64, f64)> = right.chain(left).collect();
            let colour = theme.series(0);
            chart.draw_series([Polygon::new(points.clone(), colour.mix(0.3).filled())])?;
            let closed: Vec<_> = points
                .iter()
                .copied()
                .chain(points.first().copied())
                .collect();
            chart.draw_series([PathElement::new(closed, canvas.stroke(colour, 1.2))])?;
            let mean = violin.values.iter().sum::<f64>() / violin.values.len().max(1) as f64;
            let bar = vec![(centre - 0.22, mean), (centre + 0.22, mean)];
            chart.draw_series([PathElement::new(bar, canvas.stroke(colour, 2.0))])?;
            if let Some(mark) = violin.mark {
                let dot = Circle::new((centre, mark), canvas.px(4.5), theme.series(1).filled());
                chart.draw_series([dot])?;
            }
            let origin = canvas.area.get_base_pixel();
            let (px, py) = chart
                .plotting_area()
                .map_coordinate(&(centre, y.range.start));
            let (w, _) = canvas
                .area
                .estimate_text_size(&violin.name, &canvas.small())?;
            let at = (px - origin.0 - w as i32 / 2, py - origin.1 + canvas.px(6.0));
            canvas.area.draw_text(&violin.name, &canvas.small(), at)?;
        }
        Ok(())
    }
}

/// The density of some values as (value, share of the widest), by a Gaussian kernel of Silverman's width.
fn outline(values: &[f64]) -> Vec<(f64, f64)> {
    let n = values.len() as f64;
    let (low, high) = ends(values.iter().copied());
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n.max(1.0)).sqrt();
    if sd == 0.0 || values.is_empty() {
        return Vec::new();
    }
    let width = 1.06 * sd * n.powf(-0.2);
    let density = |at: f64| -> f64 {
        let kernel = |v: &f64| (-((at - v) / width).powi(2) / 2.0).exp();
        values.iter().map(kernel).sum()
    };
    let steps = 40;
    let places = (0..=steps).map(|i| low + (high - low) * f64::from(i) / f64::from(steps));
    let shape: Vec<(f64, f64)> = places.map(|at| (at, density(at))).collect();
    let widest = shape.iter().map(|(_, w)| *w).fold(0.0, f64::max);
    shape.into_iter().map(|(at, w)| (at, w / widest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violin_is_widest_where_its_values_are() {
        let values = [1.0, 2.0, 2.0, 2.1, 1.9, 3.0];
        let shape = outline(&values);
        let (at, _) = shape
            .iter()
            .copied()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        assert!((at - 2.0).abs() < 0.1, "{at}");
        assert_eq!((shape[0].0, shape[40].0), (1.0, 3.0));
        assert!(outline(&[1.0, 1.0]).is_empty());
    }
}
