//! Figures, as SVG: text stays text, so no font is needed to write them.

mod curve;
mod scatter;

pub use curve::learning_curve;
pub use scatter::{Point, score_against_parameters};

use plotters::style::RGBColor;

/// Colours that colour-blind readers can tell apart (Okabe and Ito).
pub const PALETTE: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];
