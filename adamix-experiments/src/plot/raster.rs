//! Pixels: a drawing backend with the carried font, and a PNG of what was drawn.

use std::convert::Infallible;
use std::io::Write;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};
use anyhow::Result;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

/// Pixels of the PNG for a point of the SVG.
pub(super) const SCALE: u32 = 2;

/// Drawn pixels for a pixel of the PNG, along each side: averaged, they make smooth edges.
pub(super) const OVERSAMPLING: u32 = 2;

/// The carried font, the only one that pixels know.
static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    let bytes = include_bytes!("../../embedded/font/dejavu-sans-condensed.ttf");
    FontRef::try_from_slice(bytes).expect("a test reads the carried font")
});

/// A canvas of red, green and blue bytes, row by row.
#[derive(Debug)]
pub(super) struct Pixels<'a> {
    bytes: &'a mut [u8],
    width: u32,
    height: u32,
}

impl<'a> Pixels<'a> {
    /// A canvas of `width` x `height` pixels of three bytes.
    pub fn new(bytes: &'a mut [u8], width: u32, height: u32) -> Self {
        Self {
            bytes,
            width,
            height,
        }
    }
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Pixels<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        if x < 0 || y < 0 || x as u32 >= self.width || y as u32 >= self.height {
            return Ok(());
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        let (r, g, b) = color.rgb;
        for (byte, new) in self.bytes[at..at + 3].iter_mut().zip([r, g, b]) {
            let old = f64::from(*byte);
            *byte = (old + (f64::from(new) - old) * color.alpha).round() as u8;
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let font = scaled(style.size());
        let em = em(style.size());
        let start = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width(text, style.size()) / 2.0,
            HPos::Right => -width(text, style.size()),
        };
        // Where the SVG backend puts the baseline, an x-height being about half an em.
        let baseline = match style.anchor().v_pos {
            VPos::Top => 0.76 * em,
            VPos::Center => 0.27 * em,
            VPos::Bottom => -0.27 * em,
        };
        let turn = style.transform();
        let color = style.color();
        let mut place = start;
        for c in text.chars() {
            let id = font.glyph_id(c);
            let glyph = id.with_scale_and_position(font.scale(), ab_glyph::point(place, baseline));
            place += font.h_advance(id);
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            let mut dots = Vec::new();
            outline.draw(|x, y, share| dots.push((x, y, share)));
            for (x, y, share) in dots {
                let (x, y) = (
                    bounds.min.x as i32 + x as i32,
                    bounds.min.y as i32 + y as i32,
                );
                let (dx, dy) = turn.transform(x, y);
                let alpha = color.alpha * f64::from(share.min(1.0));
                self.draw_pixel((at.0 + dx, at.1 + dy), BackendColor { alpha, ..color })?;
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let size = style.size();
        Ok((width(text, size).ceil() as u32, em(size).ceil() as u32))
    }
}

/// The em of a font size as the SVG backend writes it.
fn em(size: f64) -> f32 {
    (size / 1.24) as f32
}

/// The font at a size. `ab_glyph` scales by the height from ascent to descent.
fn scaled(size: f64) -> ab_glyph::PxScaleFont<&'static FontRef<'static>> {
    let height = FONT.height_unscaled() / FONT.units_per_em().unwrap_or(2048.0);
    FONT.as_scaled(PxScale::from(em(size) * height))
}

fn width(text: &str, size: f64) -> f32 {
    let font = scaled(size);
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

/// Averages `OVERSAMPLING` squared pixels into one and encodes the picture.
pub(super) fn encode(pixels: &Pixels<'_>) -> Result<Vec<u8>> {
    let side = OVERSAMPLING as usize;
    let full = pixels.width as usize;
    let (w, h) = (full / side, pixels.height as usize / side);
    // Each row begins with its filter: none.
    let mut rows = Vec::with_capacity(h * (w * 3 + 1));
    for y in 0..h {
        rows.push(0);
        for x in 0..w {
            for channel in 0..3 {
                let mut sum = 0;
                for dy in 0..side {
                    for dx in 0..side {
                        let at = ((y * side + dy) * full + x * side + dx) * 3 + channel;
                        sum += usize::from(pixels.bytes[at]);
                    }
                }
                rows.push((sum / (side * side)) as u8);
            }
        }
    }
    let mut header = Vec::new();
    header.extend((w as u32).to_be_bytes());
    header.extend((h as u32).to_be_bytes());
    // Eight bits, red green blue, deflate, the five filters, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&rows)?;
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &packed.finish()?);
    chunk(&mut png, b"IEND", &[]);
    Ok(png)
}

/// A chunk of a PNG: length, name, contents, and the checksum of the latter two.
fn chunk(png: &mut Vec<u8>, name: &[u8; 4], contents: &[u8]) {
    png.extend((contents.len() as u32).to_be_bytes());
    png.extend(name);
    png.extend(contents);
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(contents);
    png.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carried_font_has_every_character_that_figures_use() {
        let used = (' '..='~').chain("±×–—’…−Δ·†".chars());
        for c in used {
            assert_ne!(FONT.glyph_id(c).0, 0, "{c}");
        }
        // An em of 100: in this font a zero is 0.5723 em wide (1172 of 2048 units).
        assert!(
            (width("00", 124.0) - 114.4).abs() < 0.5,
            "{}",
            width("00", 124.0)
        );
    }

    #[test]
    fn a_png_is_what_the_format_says() {
        // Four equal pixels become one: 69 bytes by hand but for the deflated part.
        let pixels = Pixels {
            bytes: &mut [10, 20, 30, 10, 20, 30, 10, 20, 30, 14, 20, 30],
            width: 2,
            height: 2,
        };
        let png = encode(&pixels).unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(
            &png[8..29],
            b"\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0"
        );
        // The checksum of the empty last chunk is the same in every PNG.
        assert_eq!(&png[png.len() - 12..], b"\0\0\0\0IEND\xae\x42\x60\x82");
        let at = png.windows(4).position(|w| w == b"IDAT").unwrap();
        let mut row = Vec::new();
        let mut unpacked = flate2::read::ZlibDecoder::new(&png[at + 4..]);
        std::io::Read::read_to_end(&mut unpacked, &mut row).unwrap();
        assert_eq!(row, [0, 11, 20, 30]);
    }
}
