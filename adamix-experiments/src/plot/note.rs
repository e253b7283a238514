//! The line below a figure that says what it rests on, wherever its file goes.

use anyhow::Result;
use plotters::prelude::*;

use super::Plot;
use super::style::Canvas;

/// Points that a line of the note takes.
const LINE: u32 = 16;

/// Points left and right of the note, and below it.
const MARGIN: u32 = 8;

/// Points that a character takes at most on average, in the widest of the usual fonts without serifs.
const CHARACTER: f64 = 6.3;

/// A figure with a note below it.
pub(super) struct Noted<'a, P> {
    plot: &'a P,
    lines: Vec<String>,
}

impl<'a, P: Plot> Noted<'a, P> {
    /// The note broken into lines of the figure's width; none of an empty one.
    pub fn new(plot: &'a P, note: &str) -> Self {
        let width = f64::from(plot.size().0 - 2 * MARGIN);
        Self {
            plot,
            lines: lines(note, (width / CHARACTER) as usize),
        }
    }

    fn height(&self) -> u32 {
        match self.lines.len() as u32 {
            0 => 0,
            n => n * LINE + MARGIN,
        }
    }
}

impl<P: Plot> Plot for Noted<'_, P> {
    fn size(&self) -> (u32, u32) {
        let (width, height) = self.plot.size();
        (width, height + self.height())
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let above = self.plot.size().1;
        let (plot, _) = canvas.area.split_vertically(canvas.len(f64::from(above)));
        self.plot.draw(&canvas.on(&plot))?;
        for (i, line) in self.lines.iter().enumerate() {
            let top = above + i as u32 * LINE;
            let at = (canvas.px(f64::from(MARGIN)), canvas.px(f64::from(top)));
            canvas.area.draw_text(line, &canvas.note(), at)?;
        }
        Ok(())
    }
}

/// A text in lines of at most `width` characters, where no word is longer.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_broken_between_words() {
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("n = 408–409 rows", 11), ["n = 408–409", "rows"]);
        assert!(lines(" ", 7).is_empty());
    }
}
