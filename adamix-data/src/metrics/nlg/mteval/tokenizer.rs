//! The language-independent and Western tokenisation of mteval 13a, shared by BLEU's many programs.

/// What counts as white space where the tokeniser squeezes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhiteSpace {
    /// ASCII only: Perl on undecoded bytes.
    Ascii,
    /// Unicode's white space: Perl on decoded text.
    Unicode,
    /// As `Unicode`, with the four ASCII separators: Python.
    Python,
}

impl WhiteSpace {
    /// Whether a character is white space.
    pub fn is(self, c: char) -> bool {
        match self {
            Self::Ascii => matches!(c, ' ' | '\t'..='\r'),
            Self::Unicode => c.is_whitespace(),
            Self::Python => c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}'),
        }
    }
}

/// Tokenises a text: words separated by single spaces, case kept.
pub fn tokenize(text: &str, white_space: WhiteSpace) -> String {
    let mut text = text
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ");
    if text.contains('&') {
        text = text
            .replace("&quot;", "\"")
            .replace("&amp;", "&")
            .replace("&lt;", "<")
            .replace("&gt;", ">");
    }
    let mut chars = Vec::with_capacity(text.len() + 16);
    chars.push(' ');
    for c in text.chars() {
        if is_punctuation(c) {
            chars.extend([' ', c, ' ']);
        } else {
            chars.push(c);
        }
    }
    chars.push(' ');

    // Full stops and commas stay only between digits; a dash leaves the digit before it.
    let chars = pairs(
        &chars,
        |a, b| !a.is_ascii_digit() && is_stop(b),
        |a, b| [a, ' ', b, ' '],
    );
    let chars = pairs(
        &chars,
        |a, b| is_stop(a) && !b.is_ascii_digit(),
        |a, b| [' ', a, ' ', b],
    );
    let chars = pairs(
        &chars,
        |a, b| a.is_ascii_digit() && b == '-',
        |a, b| [a, ' ', b, ' '],
    );

    let mut out = String::with_capacity(chars.len());
    let mut gap = false;
    for c in chars {
        if white_space.is(c) {
            gap = !out.is_empty();
        } else {
            if gap {
                out.push(' ');
                gap = false;
            }
            out.push(c);
        }
    }
    out
}

/// Everything ASCII that is neither a letter, a digit, an apostrophe, a comma, a full stop nor a dash.
fn is_punctuation(c: char) -> bool {
    matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

fn is_stop(c: char) -> bool {
    c == '.' || c == ','
}

/// Rewrites pairs of characters from left to right, each character in one pair at most.
pub(crate) fn pairs(
    chars: &[char],
    matches: impl Fn(char, char) -> bool,
    rewrite: impl Fn(char, char) -> [char; 4],
) -> Vec<char> {
    let mut out = Vec::with_capacity(chars.len() + 16);
    let mut i = 0;
    while i < chars.len() {
        match chars.get(i + 1) {
            Some(&next) if matches(chars[i], next) => {
                out.extend(rewrite(chars[i], next));
                i += 2;
            }
            _ => {
                out.push(chars[i]);
                i += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_the_perl_program() {
        let t = |text| tokenize(text, WhiteSpace::Unicode);
        assert_eq!(
            t("It costs £20.50, or 1,000-2,000!"),
            "It costs £20.50 , or 1,000 - 2,000 !"
        );
        assert_eq!(
            t("a...b .5 5. &quot;x&quot; don't"),
            "a . . . b . 5 5 . \" x \" don't"
        );
        assert_eq!(t("  a\u{a0}b\tc  "), "a b c");
        assert_eq!(tokenize("a\u{a0}b", WhiteSpace::Ascii), "a\u{a0}b");
        assert_eq!(t(""), "");
    }
}
