//! Figures: SVG and PNG of one drawing, on light and on dark, readable at the width of a column.
//!
//! A figure is a plain value with its data ([`Scatter`], [`Curves`], ...) that implements [`Plot`]. SVG text stays text;
//! for PNG the program carries one small font, so no figure needs a font of the system.

mod axes;
mod bars;
mod calibration;
mod curves;
mod heat_map;
mod learning;
mod note;
mod raster;
mod scatter;
mod style;
mod violins;

pub use bars::{Bar, Bars};
pub use calibration::Calibration;
pub use curves::{Curves, Series};
pub use heat_map::HeatMap;
pub use learning::learning_curve;
pub use scatter::{Point, Scatter};
pub use style::{Canvas, Theme};
pub use violins::{Panel, Violin, Violins};

use anyhow::Result;
use plotters::prelude::*;

use crate::report::html::escape;
use note::Noted;
use raster::Pixels;

/// A figure.
pub trait Plot {
    /// Width and height in points of the SVG.
    fn size(&self) -> (u32, u32);

    /// Draws it.
    ///
    /// # Errors
    /// What the drawing backend says.
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static;
}

/// The figure as SVG.
pub fn svg(plot: &impl Plot, theme: Theme) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, plot.size()).into_drawing_area();
        area.fill(&theme.page())?;
        plot.draw(&Canvas::new(&area, theme, 1))?;
        area.present()?;
    }
    Ok(text)
}

/// The figure as PNG, at twice the SVG's size.
pub fn png(plot: &impl Plot, theme: Theme) -> Result<Vec<u8>> {
    let (width, height) = plot.size();
    let fine = raster::SCALE * raster::OVERSAMPLING;
    let (w, h) = (width * fine, height * fine);
    let mut bytes = vec![0; (w * h * 3) as usize];
    {
        let area = Pixels::new(&mut bytes, w, h).into_drawing_area();
        area.fill(&theme.page())?;
        plot.draw(&Canvas::new(&area, theme, fine))?;
        area.present()?;
    }
    raster::encode(&Pixels::new(&mut bytes, w, h))
}

/// The figure in all its forms, with the note of what it rests on drawn below it.
pub fn figure(
    plot: &impl Plot,
    name: &str,
    title: &str,
    caption: Vec<String>,
    note: &str,
) -> Result<crate::report::Figure> {
    let plot = &Noted::new(plot, note);
    let described = |theme| Ok::<_, anyhow::Error>(described(&svg(plot, theme)?, title, &caption));
    Ok(crate::report::Figure {
        name: name.to_owned(),
        title: title.to_owned(),
        light: described(Theme::Light)?,
        dark: described(Theme::Dark)?,
        pixels: [png(plot, Theme::Light)?, png(plot, Theme::Dark)?],
        caption,
    })
}

/// An SVG that carries its title and caption: they go wherever the file goes.
fn described(svg: &str, title: &str, caption: &[String]) -> String {
    // They have to be the first elements within the outermost one.
    let within = svg.find('>').map_or(0, |at| at + 1);
    let (head, rest) = svg.split_at(within);
    format!(
        "{head}\n<title>{}</title>\n<desc>{}</desc>{rest}",
        escape(title),
        escape(&caption.join(" "))
    )
}
