//! The alphabet of the Penn Treebank tokeniser: every character becomes one byte, so that the lexical
//! rules are small byte patterns and offsets count characters.
//!
//! ASCII stands for itself. The other characters of the basic plane fall into the classes the original
//! scanner distinguishes; everything else is [`OTHER`], which it deletes.

use regex::Regex;
use std::collections::HashMap;

/// A letter that is not upper case.
pub(super) const LETTER: u8 = 0x80;
/// A combining mark or sign that may stand inside a word, but not inside a hyphenated compound.
pub(super) const WORD_SIGN: u8 = 0x81;
/// A decimal digit outside ASCII.
pub(super) const DIGIT: u8 = 0x82;
/// The no-break space.
pub(super) const NO_BREAK_SPACE: u8 = 0x84;
/// The other spaces of Unicode.
pub(super) const SPACE: u8 = 0x85;
/// U+0085, which older encodings use for an ellipsis.
pub(super) const NEXT_LINE: u8 = 0x86;
/// Line and paragraph separators.
pub(super) const LINE_SEPARATOR: u8 = 0x87;
/// En dash, em dash, horizontal bar.
pub(super) const DASH: u8 = 0x88;
/// The soft hyphen.
pub(super) const SOFT_HYPHEN: u8 = 0x89;
/// Arabic decimal and thousands separators.
pub(super) const NUMBER_SEPARATOR: u8 = 0x8A;
/// Superscript and subscript signs.
pub(super) const RAISED_SIGN: u8 = 0x8B;
/// Superscript digits.
pub(super) const SUPERSCRIPT: u8 = 0x8C;
/// Subscript digits.
pub(super) const SUBSCRIPT: u8 = 0x8D;
/// The fraction slash.
pub(super) const FRACTION_SLASH: u8 = 0x8E;
/// Vulgar fractions.
pub(super) const FRACTION: u8 = 0x8F;
/// Currency signs other than the dollar.
pub(super) const CURRENCY: u8 = 0x90;
/// The apostrophe's curly forms.
pub(super) const APOSTROPHE: u8 = 0x91;
/// Left single quotes that are sometimes typed as apostrophes.
pub(super) const LEFT_QUOTE: u8 = 0x92;
/// All other quotation marks.
pub(super) const QUOTE: u8 = 0x93;
/// Hyphens outside ASCII.
pub(super) const HYPHEN: u8 = 0x94;
/// The ellipsis.
pub(super) const ELLIPSIS: u8 = 0x95;
/// The ideographic comma.
pub(super) const COMMA: u8 = 0x96;
/// Sentence punctuation of other scripts.
pub(super) const STOP: u8 = 0x97;
/// Symbols that are tokens of their own.
pub(super) const SYMBOL: u8 = 0x98;
/// Zero-width characters, which are dropped.
pub(super) const ZERO_WIDTH: u8 = 0x99;
/// Characters the scanner cannot place, which are dropped.
pub(super) const OTHER: u8 = 0x9A;
/// An upper-case letter outside ASCII.
pub(super) const UPPER: u8 = 0x9B;

/// Marks and signs that the word rule accepts although they are not letters.
const WORD_SIGNS: &[(u32, u32)] = &[
    (0x02C2, 0x02C5),
    (0x02D2, 0x02DF),
    (0x02E5, 0x036F),
    (0x0370, 0x037D),
    (0x0384, 0x0385),
    (0x03F6, 0x03F6),
    (0x0483, 0x0487),
    (0x055A, 0x055F),
    (0x0591, 0x05BD),
    (0x05BF, 0x05BF),
    (0x05C1, 0x05C2),
    (0x05C4, 0x05C5),
    (0x05C7, 0x05C7),
    (0x0615, 0x061A),
    (0x064B, 0x065E),
    (0x0670, 0x0670),
    (0x06D6, 0x06EF),
    (0x06FA, 0x06FF),
    (0x070F, 0x070F),
    (0x0711, 0x0711),
    (0x0730, 0x074F),
    (0x07A6, 0x07B1),
    (0x07CA, 0x07F5),
    (0x07FA, 0x07FA),
    (0x0900, 0x0903),
    (0x093C, 0x093C),
    (0x093E, 0x094E),
    (0x0951, 0x0955),
    (0x0962, 0x0963),
    (0x0981, 0x0983),
    (0x09BC, 0x09C4),
    (0x09C7, 0x09C8),
    (0x09CB, 0x09CD),
    (0x09D7, 0x09D7),
    (0x09E2, 0x09E3),
    (0x0A01, 0x0A03),
    (0x0A3C, 0x0A3C),
    (0x0A3E, 0x0A4F),
    (0x0A81, 0x0A83),
    (0x0ABC, 0x0ACF),
    (0x0B82, 0x0B82),
    (0x0BBE, 0x0BC2),
    (0x0BC6, 0x0BC8),
    (0x0BCA, 0x0BCD),
    (0x0C01, 0x0C03),
    (0x0C3E, 0x0C56),
    (0x0D3E, 0x0D44),
    (0x0D46, 0x0D48),
    (0x0E30, 0x0E3A),
    (0x0E47, 0x0E4E),
    (0x0EB1, 0x0EBC),
    (0x0EC8, 0x0ECD),
];

/// Mathematical, technical and typographic symbols.
const SYMBOLS: &[(u32, u32)] = &[
    (0x00A6, 0x00A9),
    (0x00AC, 0x00AC),
    (0x00AE, 0x00BA),
    (0x00D7, 0x00D7),
    (0x00F7, 0x00F7),
    (0x0387, 0x0387),
    (0x05BE, 0x05BE),
    (0x05C0, 0x05C0),
    (0x05C3, 0x05C3),
    (0x05C6, 0x05C6),
    (0x05F3, 0x05F4),
    (0x0600, 0x0603),
    (0x0606, 0x060A),
    (0x060C, 0x060C),
    (0x0614, 0x0614),
    (0x061B, 0x061B),
    (0x061E, 0x061E),
    (0x066A, 0x066A),
    (0x066D, 0x066D),
    (0x0703, 0x070D),
    (0x07F6, 0x07F8),
    (0x0964, 0x0965),
    (0x0E4F, 0x0E4F),
    (0x1FBD, 0x1FBD),
    (0x2016, 0x2017),
    (0x2020, 0x2023),
    (0x2030, 0x2038),
    (0x203B, 0x203B),
    (0x203E, 0x2042),
    (0x207C, 0x207F),
    (0x208C, 0x208E),
    (0x2100, 0x214F),
    (0x2190, 0x21FF),
    (0x2200, 0x2BFF),
    (0x3012, 0x3012),
    (0x30FB, 0x30FB),
    (0xFF01, 0xFF0F),
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65),
];

fn within(ranges: &[(u32, u32)], c: u32) -> bool {
    ranges.iter().any(|&(low, high)| low <= c && c <= high)
}

/// Maps characters to classes, remembering those it has met.
pub(super) struct Classes {
    letter: Regex,
    digit: Regex,
    upper: Regex,
    known: HashMap<char, u8>,
}

impl Classes {
    /// The classes of the scanner, whose letters and digits are those of Unicode 6.2.
    pub(super) fn new() -> Self {
        let class = |pattern| Regex::new(pattern).expect("a fixed pattern");
        Self {
            letter: class(r"^[\p{L}&&\p{age:6.2}]$"),
            digit: class(r"^[\p{Nd}&&\p{age:6.2}]$"),
            upper: class(r"^[\p{Uppercase}&&\p{age:6.2}]$"),
            known: HashMap::new(),
        }
    }

    /// The class of one character.
    pub(super) fn of(&mut self, c: char) -> u8 {
        if c.is_ascii() {
            return c as u8;
        }
        if let Some(&class) = self.known.get(&c) {
            return class;
        }
        let class = self.classify(c);
        self.known.insert(c, class);
        class
    }

    fn classify(&self, c: char) -> u8 {
        let code = u32::from(c);
        match code {
            0x2013..=0x2015 | 0x96 | 0x97 => return DASH,
            0xA0 => return NO_BREAK_SPACE,
            0x2000..=0x200A | 0x3000 => return SPACE,
            0x85 => return NEXT_LINE,
            0x2028 | 0x2029 => return LINE_SEPARATOR,
            0xAD => return SOFT_HYPHEN,
            0x066B | 0x066C => return NUMBER_SEPARATOR,
            0x207A | 0x207B | 0x208A | 0x208B => return RAISED_SIGN,
            0x2070 | 0xB9 | 0xB2 | 0xB3 | 0x2074..=0x2079 => return SUPERSCRIPT,
            0x2080..=0x2089 => return SUBSCRIPT,
            0x2044 => return FRACTION_SLASH,
            0xBC..=0xBE | 0x2153..=0x215E => return FRACTION,
            0xA2..=0xA5 | 0x80 | 0x20A0 | 0x20A4 | 0x20AC | 0x060B | 0x0E3F => return CURRENCY,
            0xFFE0 | 0xFFE1 | 0xFFE5 | 0xFFE6 => return CURRENCY,
            0x92 | 0x2019 => return APOSTROPHE,
            0x91 | 0x2018 | 0x201B => return LEFT_QUOTE,
            0x201A | 0x201C..=0x201F | 0x93 | 0x94 | 0x2039 | 0x203A | 0xAB | 0xBB => {
                return QUOTE;
            }
            0x058A | 0x2010 | 0x2011 => return HYPHEN,
            0x2026 => return ELLIPSIS,
            0x3001 => return COMMA,
            0xA1 | 0xBF | 0x037E | 0x0589 | 0x061F | 0x06D4 | 0x0700..=0x0702 | 0x3002 => {
                return STOP;
            }
            0x200B | 0x200E | 0x200F | 0xFEFF => return ZERO_WIDTH,
            // Vowel signs that were not letters in Unicode 6.2.
            0x19B0..=0x19C0 | 0x19C8 | 0x19C9 | 0x1CF2 | 0x1CF3 => return OTHER,
            // Marks that were letters in Unicode 6.2.
            0x1885 | 0x1886 => return LETTER,
            0x1_0000.. => return OTHER,
            _ => {}
        }
        let mut bytes = [0; 4];
        let text = c.encode_utf8(&mut bytes);
        if self.letter.is_match(text) {
            if self.upper.is_match(text) {
                UPPER
            } else {
                LETTER
            }
        } else if self.digit.is_match(text) {
            DIGIT
        } else if within(WORD_SIGNS, code) {
            WORD_SIGN
        } else if within(SYMBOLS, code) {
            SYMBOL
        } else {
            OTHER
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_fall_into_the_scanners_classes() {
        let mut classes = Classes::new();
        for (c, class) in [
            ('a', b'a'),
            ('é', LETTER),
            ('É', UPPER),
            ('£', CURRENCY),
            ('’', APOSTROPHE),
            ('—', DASH),
            ('½', FRACTION),
            ('٣', DIGIT),
            ('\u{301}', WORD_SIGN),
            ('∀', SYMBOL),
            ('😀', OTHER),
        ] {
            assert_eq!(classes.of(c), class, "{c}");
            assert_eq!(classes.of(c), class, "{c} the second time");
        }
    }
}
