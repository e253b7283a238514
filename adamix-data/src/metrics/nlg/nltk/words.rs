//! NLTK 3.5's rules for the words of a sentence.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// NLTK's rules, compiled once.
pub struct WordRules {
    before_quotes: Vec<(Regex, &'static str)>,
    punctuation: Vec<(Regex, &'static str)>,
    after: Vec<(Regex, &'static str)>,
    contractions: Regex,
    archaic: Regex,
    lone_quote: Regex,
}

impl Default for WordRules {
    fn default() -> Self {
        Self::new()
    }
}

impl WordRules {
    /// Compiles the rules.
    pub fn new() -> Self {
        let compile = |rules: &[(&str, &'static str)]| {
            rules
                .iter()
                .map(|(pattern, with)| (Regex::new(pattern).expect("a fixed pattern"), *with))
                .collect::<Vec<_>>()
        };
        Self {
            before_quotes: compile(&[
                ("([«“‘„]|`+)", " $1 "),
                (r#"^""#, "``"),
                ("(``)", " $1 "),
                (r#"([ (\[{<])("|'{2})"#, "$1 `` "),
            ]),
            punctuation: compile(&[
                (r#"([^.])(\.)([\])}>"'»”’ ]*)\s*$"#, "$1 $2 $3 "),
                (r"([:,])([^\d])", " $1 $2"),
                (r"([:,])$", " $1 "),
                (r"\.{2,}", " $0 "),
                (r"[;@#$%&]", " $0 "),
                (r#"([^.])(\.)([\])}>"']*)\s*$"#, "$1 $2$3 "),
                (r"[?!]", " $0 "),
                (r"([^'])' ", "$1 ' "),
                (r"\*", " $0 "),
                (r"[\]\[(){}<>]", " $0 "),
                ("--", " -- "),
            ]),
            after: compile(&[
                ("([»”’])", " $1 "),
                ("\"", " '' "),
                (r"(\S)('')", "$1 $2 "),
                ("([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "),
                ("([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "),
            ]),
            contractions: Regex::new(
                r"(?i)(can)(not)|(d)('ye)|(gim)(me)|(gon)(na)|(got)(ta)|(lem)(me)|(mor)('n)|(wan)(na)",
            )
            .expect("a fixed pattern"),
            archaic: Regex::new(r"(?i) ('t)(is|was)").expect("a fixed pattern"),
            lone_quote: Regex::new(r"'").expect("a fixed pattern"),
        }
    }

    /// The words of one sentence.
    pub fn words(&self, text: &str) -> Vec<String> {
        let text = text.trim();
        let mut text = apply(&self.before_quotes, text.to_owned());
        if text.contains('\'') {
            text = self.split_opening_quotes(&text);
        }
        let text = apply(&self.punctuation, text);
        let text = apply(&self.after, format!(" {text} "));
        let text = split_contractions(&self.contractions, &text);
        let text = split_contractions(&self.archaic, &text);
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// A quote before a single letter or digit, unless it is a contraction.
    fn split_opening_quotes(&self, text: &str) -> String {
        let replaced = self.lone_quote.replace_all(text, |found: &Captures| {
            let at = found.get(0).map_or(0, |m| m.end());
            let mut after = text[at..].chars();
            let letter = after.next().filter(|c| is_word(*c));
            let alone = !after.next().is_some_and(is_word);
            let contraction = |c: char| matches!(c.to_ascii_lowercase(), 'm' | 't' | 's' | 'd');
            if alone && letter.is_some_and(|c| !contraction(c)) {
                "' "
            } else {
                "'"
            }
        });
        replaced.into_owned()
    }
}

fn apply(rules: &[(Regex, &str)], mut text: String) -> String {
    for (pattern, with) in rules {
        if let std::borrow::Cow::Owned(changed) = pattern.replace_all(&text, *with) {
            text = changed;
        }
    }
    text
}

/// Splits whole words into the two groups of the pattern that matched.
fn split_contractions(pattern: &Regex, text: &str) -> String {
    let replaced = pattern.replace_all(text, |found: &Captures| {
        let whole = found.get(0).map_or(0..0, |m| m.range());
        let starts = text[whole.start..].starts_with(' ')
            || !text[..whole.start].chars().next_back().is_some_and(is_word);
        let next = text[whole.end..].chars().next();
        // "wanna" alone must stand before white space.
        let ends = if text[whole.clone()].eq_ignore_ascii_case("wanna") {
            next.is_some_and(char::is_whitespace)
        } else {
            !next.is_some_and(is_word)
        };
        let parts: Vec<&str> = found.iter().skip(1).flatten().map(|m| m.as_str()).collect();
        if starts && ends {
            format!(" {} ", parts.join(" "))
        } else {
            text[whole].to_owned()
        }
    });
    replaced.into_owned()
}

/// What Python's regular expressions take for a part of a word.
pub(super) fn is_word(c: char) -> bool {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}_]$").expect("a fixed pattern"));
    c.is_ascii_alphanumeric()
        || c == '_'
        || (!c.is_ascii() && WORD.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Lower case, then every character that is no letter, digit or underscore a word of its own: what the
/// WebNLG and DART pipeline of LoRA and AdaMix does to outputs and references before scoring.
pub fn lower_and_split(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.to_lowercase().chars() {
        if is_word(c) {
            out.push(c);
        } else {
            out.extend([' ', c, ' ']);
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_becomes_a_word() {
        assert_eq!(lower_and_split("A. B's (x_1)²"), "a . b ' s ( x_1 ) ²");
    }
}
