//! Colours, sizes and the font.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Paper or screen at night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Ink on white.
    Light,
    /// Light on dark.
    Dark,
}

/// Colours that colour-blind readers can tell apart (Okabe and Ito), in the order of series.
const LIGHT: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// The same hues, lighter where they would sink into the dark.
const DARK: [RGBColor; 6] = [
    RGBColor(86, 180, 233),
    RGBColor(240, 140, 60),
    RGBColor(60, 200, 155),
    RGBColor(224, 150, 190),
    RGBColor(240, 228, 66),
    RGBColor(255, 255, 255),
];

impl Theme {
    /// The background.
    pub fn page(self) -> RGBColor {
        match self {
            Self::Light => WHITE,
            Self::Dark => RGBColor(21, 24, 28),
        }
    }

    /// Text and axes.
    pub fn ink(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(31, 35, 40),
            Self::Dark => RGBColor(230, 232, 234),
        }
    }

    /// Grid lines.
    pub fn grid(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(222, 226, 230),
            Self::Dark => RGBColor(52, 58, 64),
        }
    }

    /// Marks beside the data: a line at zero, the paper's value.
    pub fn soft(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(110, 119, 129),
            Self::Dark => RGBColor(154, 164, 174),
        }
    }

    /// The colour of a series.
    pub fn series(self, i: usize) -> RGBColor {
        match self {
            Self::Light => LIGHT[i % LIGHT.len()],
            Self::Dark => DARK[i % DARK.len()],
        }
    }

    /// A share from 0 to 1 as a shade of one hue, even in lightness.
    pub fn shade(self, share: f64) -> RGBColor {
        let (from, to) = match self {
            Self::Light => ((247.0, 251.0, 255.0), (8.0, 48.0, 107.0)),
            Self::Dark => ((28.0, 34.0, 42.0), (190.0, 225.0, 255.0)),
        };
        let mix = |a: f64, b: f64| (a + (b - a) * share.clamp(0.0, 1.0)).round() as u8;
        RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
    }
}

/// The family that every text asks for: the reader's own in SVG, the carried one in PNG.
pub(super) const FONT: &str = "sans-serif";

/// A place to draw, with its colours and its scale.
#[allow(missing_debug_implementations)]
pub struct Canvas<'a, B: DrawingBackend> {
    /// The place.
    pub area: &'a DrawingArea<B, Shift>,
    /// The colours.
    pub theme: Theme,
    scale: u32,
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    /// A canvas whose lengths are multiplied by `scale`.
    pub(super) fn new(area: &'a DrawingArea<B, Shift>, theme: Theme, scale: u32) -> Self {
        Self { area, theme, scale }
    }

    /// The same style on another place.
    pub(super) fn on<'b>(&self, area: &'b DrawingArea<B, Shift>) -> Canvas<'b, B> {
        Canvas::new(area, self.theme, self.scale)
    }

    /// A length in points as pixels.
    pub(super) fn px(&self, points: f64) -> i32 {
        (points * f64::from(self.scale)).round() as i32
    }

    /// The same, for lengths that cannot be negative.
    pub(super) fn len(&self, points: f64) -> u32 {
        self.px(points).max(0) as u32
    }

    /// Text of the size of labels.
    pub(super) fn label(&self) -> TextStyle<'static> {
        (FONT, self.px(16.5)).into_font().color(&self.theme.ink())
    }

    /// Smaller text, for tick labels and notes.
    pub(super) fn small(&self) -> TextStyle<'static> {
        (FONT, self.px(15.0)).into_font().color(&self.theme.ink())
    }

    /// The smallest text, for what is said below a figure.
    pub(super) fn note(&self) -> TextStyle<'static> {
        (FONT, self.px(13.0)).into_font().color(&self.theme.soft())
    }

    /// Small text placed by one of its edges.
    pub(super) fn anchored(&self, h: HPos, v: VPos) -> TextStyle<'static> {
        self.small().pos(Pos::new(h, v))
    }

    /// A line of the theme's or a series' colour.
    pub(super) fn stroke(&self, colour: RGBColor, width: f64) -> ShapeStyle {
        colour.stroke_width(self.len(width).max(1))
    }
}
