//! METEOR's `-norm` for English: a Moses-like tokenisation that also levels quotes, dashes and the dots
//! of abbreviations, and keeps punctuation.

use std::collections::HashMap;

/// Letters METEOR knows: Latin with diacritics, Cyrillic and phonetic extensions.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(u32::from(c),
            0xC0..=0xD6 | 0xD8..=0xF6 | 0xF8..=0x17E | 0x400..=0x527
            | 0xA640..=0xA66E | 0xA67E..=0xA697 | 0x1D00..=0x1D7F)
}

fn is_letter_or_digit(c: char) -> bool {
    c.is_ascii_digit() || is_letter(c)
}

/// When a word with a final full stop keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Prefix {
    /// Always.
    Any,
    /// Before a number.
    Numeric,
}

/// Parses the list of words that keep their full stop.
pub(super) fn prefixes(text: &str) -> HashMap<String, Prefix> {
    let mut prefixes = HashMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if let Some(word) = words.next()
            && !word.starts_with('#')
        {
            let kind = if words.next() == Some("#NUMERIC_ONLY#") {
                Prefix::Numeric
            } else {
                Prefix::Any
            };
            prefixes.insert(word.to_owned(), kind);
        }
    }
    prefixes
}

/// Words as Java's `StringTokenizer` finds them.
pub(super) fn java_words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\n', '\r', '\x0C'])
        .filter(|word| !word.is_empty())
}

/// Normalises a line and makes it lower case.
pub(super) fn normalize(line: &str, prefixes: &HashMap<String, Prefix>) -> String {
    let mut chars = Vec::with_capacity(line.len() + 32);
    chars.push(' ');
    for c in line.chars() {
        let plain = is_letter_or_digit(c)
            || matches!(
                c,
                ' ' | '\t'..='\r' | '.' | '\'' | '`' | ',' | '-' | '‘' | '’'
            );
        if plain {
            chars.push(c);
        } else {
            chars.extend([' ', c, ' ']);
        }
    }
    chars.push(' ');
    escape_dots(&mut chars);

    let digit = |c: char| c.is_ascii_digit();
    let no_digit = |c: char| !c.is_ascii_digit();
    between(&mut chars, ',', no_digit, no_digit, &[' ', ',', ' ']);
    between(&mut chars, ',', digit, no_digit, &[' ', ',', ' ']);
    between(&mut chars, ',', no_digit, digit, &[' ', ',', ' ']);

    level_quotes(&mut chars);
    level_dashes(&mut chars);
    let before_dash = |c| is_letter_or_digit(c) || c == '.';
    between(&mut chars, '-', before_dash, is_letter_or_digit, &[' ']);

    let no_letter = |c| !is_letter(c);
    let no_word = |c: char| !is_letter_or_digit(c);
    let apart = &[' ', '\'', ' '];
    between(&mut chars, '\'', no_letter, no_letter, apart);
    between(&mut chars, '\'', no_word, is_letter, apart);
    between(&mut chars, '\'', is_letter, no_letter, apart);
    between(&mut chars, '\'', is_letter, is_letter, &[' ', '\'']);
    between(&mut chars, '\'', digit, |c| c == 's', &[' ', '\'']);

    let text: String = chars.into_iter().collect();
    let mut text = split_final_dots(&text, prefixes);
    while text.contains("DOTDOTMULTI") {
        text = text.replace("DOTDOTMULTI", "DOTMULTI.");
    }
    if text.contains("DOTMULTI") {
        text = text.replace("DOTMULTI", ".");
    }
    squeeze(&text).to_lowercase()
}

/// Rewrites `middle` where it stands between two kinds of characters, from left to right and without
/// using a character twice.
fn between(
    chars: &mut Vec<char>,
    middle: char,
    left: impl Fn(char) -> bool,
    right: impl Fn(char) -> bool,
    with: &[char],
) {
    if !chars.contains(&middle) {
        return;
    }
    let mut out = Vec::with_capacity(chars.len() + 16);
    let mut i = 0;
    while i < chars.len() {
        out.push(chars[i]);
        if i + 2 < chars.len() && chars[i + 1] == middle && left(chars[i]) && right(chars[i + 2]) {
            out.extend_from_slice(with);
            out.push(chars[i + 2]);
            i += 3;
        } else {
            i += 1;
        }
    }
    *chars = out;
}

/// Hides runs of full stops behind words, so that nothing later splits them.
fn escape_dots(chars: &mut Vec<char>) {
    if !chars.windows(2).any(|pair| pair == ['.', '.']) {
        return;
    }
    let mut text = String::with_capacity(chars.len() + 32);
    let mut i = 0;
    while i < chars.len() {
        let run = chars[i..].iter().take_while(|&&c| c == '.').count();
        if run >= 2 {
            text.push_str(" DOTMULTI");
            text.extend(std::iter::repeat_n('.', run - 1));
            i += run;
        } else {
            text.push(chars[i]);
            i += 1;
        }
    }
    const MARK: &str = "DOTMULTI.";
    while text.contains(MARK) {
        let mut out = String::with_capacity(text.len() + 32);
        let mut rest = text.as_str();
        while let Some(at) = rest.find(MARK) {
            let after = &rest[at + MARK.len()..];
            match after.chars().next() {
                Some(next) if next != '.' => {
                    out.push_str(&rest[..at]);
                    out.push_str("DOTDOTMULTI ");
                    out.push(next);
                    rest = &after[next.len_utf8()..];
                }
                _ => {
                    out.push_str(&rest[..at + MARK.len()]);
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        text = out.replace(MARK, "DOTDOTMULTI");
    }
    *chars = text.chars().collect();
}

fn level_quotes(chars: &mut Vec<char>) {
    for c in chars.iter_mut() {
        if matches!(c, '`' | '‘' | '’') {
            *c = '\'';
        }
    }
    let double = |i: usize, chars: &[char]| chars[i] == '\'' && chars.get(i + 1) == Some(&'\'');
    if !(0..chars.len()).any(|i| matches!(chars[i], '“' | '”') || double(i, chars)) {
        return;
    }
    let mut out = Vec::with_capacity(chars.len() + 16);
    let mut i = 0;
    while i < chars.len() {
        if matches!(chars[i], '“' | '”') {
            out.extend([' ', '"', ' ']);
        } else if double(i, chars) {
            out.extend([' ', '"', ' ']);
            i += 1;
        } else {
            out.push(chars[i]);
        }
        i += 1;
    }
    *chars = out;
}

fn level_dashes(chars: &mut Vec<char>) {
    for c in chars.iter_mut() {
        if *c == '–' {
            *c = '-';
        }
    }
    let mut out = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        out.push(chars[i]);
        i += if chars[i] == '-' && chars.get(i + 1) == Some(&'-') {
            2
        } else {
            1
        };
    }
    *chars = out;
}

/// Separates the full stop from the end of words, unless they are abbreviations.
fn split_final_dots(text: &str, prefixes: &HashMap<String, Prefix>) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut words = java_words(text).peekable();
    while let Some(word) = words.next() {
        match word.strip_suffix('.') {
            Some(before) if !before.is_empty() => {
                let next = words.peek().and_then(|next| next.bytes().next());
                let kind = prefixes.get(before);
                if before.contains('.') && before.chars().any(is_letter) {
                    out.extend(word.chars().filter(|&c| c != '.'));
                } else if kind == Some(&Prefix::Any)
                    || next.is_some_and(|b| b.is_ascii_lowercase())
                    || (kind == Some(&Prefix::Numeric) && next.is_some_and(|b| b.is_ascii_digit()))
                {
                    out.push_str(word);
                } else {
                    out.push_str(before);
                    out.push_str(" .");
                }
            }
            _ => out.push_str(word),
        }
        out.push(' ');
    }
    out
}

/// Single spaces for Unicode's spaces, none at the ends.
fn squeeze(text: &str) -> String {
    let space = |c: char| {
        matches!(
            c,
            ' ' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
        )
    };
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if space(c) {
            gap = true;
        } else {
            if gap {
                out.push(' ');
            }
            gap = false;
            out.push(c);
        }
    }
    out.trim_matches(|c: char| c <= ' ').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_normalised_as_by_the_jar() {
        let prefixes = prefixes("# titles\nMr\nNo #NUMERIC_ONLY#\n\n");
        let n = |line| normalize(line, &prefixes);
        // Recorded from METEOR 1.5.
        assert_eq!(
            n("It's Mr. Smith's U.S.-based café, No. 5."),
            "it 's mr. smith 's us based café , no. 5 ."
        );
        assert_eq!(
            n("Wait... the “1,000” kids' “pub”--yes"),
            "wait ... the \" 1,000 \" kids ' \" pub \" -yes"
        );
        assert_eq!(n("a.b. x No. y No. Z end."), "ab x no. y no . z end .");
        assert_eq!(n(""), "");
    }
}
