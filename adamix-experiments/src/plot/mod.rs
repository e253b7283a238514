//! Figures, as SVG: text stays text, so no font is needed to write them.

mod curve;

pub use curve::learning_curve;
