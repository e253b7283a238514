//! How often each expert of each layer was drawn, over the course of training.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Plot;
use super::style::Canvas;

/// A row an expert, rows of a layer together, a column a part of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// What the horizontal axis is, and its ends.
    pub x_title: String,
    /// Labels of the first and last column.
    pub x_ends: (String, String),
    /// What the colours are.
    pub value_title: String,
    /// The value that full colour stands for.
    pub largest: f64,
    /// Layers by name, each with its experts' shares over time.
    pub layers: Vec<(String, Vec<Vec<f64>>)>,
}

/// Points for an expert's row, between layers, and around.
const ROW: f64 = 9.0;
const GAP: f64 = 5.0;
const LEFT: f64 = 86.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 66.0;
const RIGHT: f64 = 20.0;

impl Plot for HeatMap {
    fn size(&self) -> (u32, u32) {
        let rows: usize = self.layers.iter().map(|(_, experts)| experts.len()).sum();
        let height = TOP + BOTTOM + rows as f64 * ROW + self.layers.len() as f64 * GAP;
        (480, height.ceil() as u32)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let theme = canvas.theme;
        let width = f64::from(self.size().0) - LEFT - RIGHT;
        let style = canvas.small();
        let point = |x: f64, y: f64| (canvas.px(x), canvas.px(y));
        let mut top = TOP;
        for (name, experts) in &self.layers {
            for (i, shares) in experts.iter().enumerate() {
                let step = width / shares.len().max(1) as f64;
                let y = top + i as f64 * ROW;
                for (column, share) in shares.iter().enumerate() {
                    let x = LEFT + column as f64 * step;
                    let colour = theme.shade(share / self.largest);
                    let corners = [point(x, y), point(x + step, y + ROW)];
                    canvas
                        .area
                        .draw(&Rectangle::new(corners, colour.filled()))?;
                }
            }
            let height = experts.len() as f64 * ROW;
            let frame = [point(LEFT, top), point(LEFT + width, top + height)];
            canvas
                .area
                .draw(&Rectangle::new(frame, canvas.stroke(theme.grid(), 1.0)))?;
            let at = point(LEFT - 6.0, top + height / 2.0);
            let right = canvas.anchored(HPos::Right, VPos::Center);
            canvas.area.draw_text(name, &right, at)?;
            top += height + GAP;
        }
        let below = point(LEFT, top + 2.0);
        canvas.area.draw_text(&self.x_ends.0, &style, below)?;
        let (w, _) = canvas.area.estimate_text_size(&self.x_ends.1, &style)?;
        canvas.area.draw_text(
            &self.x_ends.1,
            &style,
            (canvas.px(LEFT + width) - w as i32, below.1),
        )?;
        let (w, _) = canvas.area.estimate_text_size(&self.x_title, &style)?;
        let middle = canvas.px(LEFT + width / 2.0) - w as i32 / 2;
        canvas
            .area
            .draw_text(&self.x_title, &style, (middle, below.1))?;
        // The colours, from nothing to the largest.
        let (bar, height, left) = (140.0, 10.0, LEFT);
        let y = top + 36.0;
        for i in 0..70 {
            let share = f64::from(i) / 69.0;
            let x = left + bar * f64::from(i) / 70.0;
            let corners = [point(x, y), point(x + bar / 70.0 + 0.5, y + height)];
            canvas
                .area
                .draw(&Rectangle::new(corners, theme.shade(share).filled()))?;
        }
        let label = format!("0 to {} {}", short(self.largest), self.value_title);
        canvas
            .area
            .draw_text(&label, &style, point(left + bar + 8.0, y - 3.0))?;
        Ok(())
    }
}

fn short(value: f64) -> String {
    format!("{value:.2}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}
