//! Punkt: where a sentence ends (Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection",
//! Computational Linguistics 32(4), 2006), as NLTK 3.5 applies a trained model.
//!
//! Only contexts of a mark are looked at: the word that it ends and the next one. A mark ends a sentence unless
//! the word is an abbreviation, an initial or a number; what follows can overrule either.

use super::model::{Model, ModelError};
use super::words::is_word;
use std::path::Path;

/// Flags of [`Model::contexts`].
const MID_UPPER: u8 = 1 << 2;
const UPPER: u8 = 1 << 1 | MID_UPPER | 1 << 3;
const BEGIN_LOWER: u8 = 1 << 4;
const LOWER: u8 = BEGIN_LOWER | 1 << 5 | 1 << 6;

/// The type of every number.
const NUMBER: &str = "##number##";

/// NLTK's sentence splitter for English.
pub struct Punkt(Model);

impl Punkt {
    /// Opens the model: NLTK's `punkt_tab` (the folder of English, or one above it) or a wheel that carries it,
    /// in `place`, else in `ADAMIX_PUNKT`, else in `adamix/punkt` of the user's cache folder.
    ///
    /// # Errors
    ///
    /// If it is not there, which says how to get it, or cannot be read.
    pub fn open(place: Option<&Path>) -> Result<Self, ModelError> {
        Model::open(place).map(Self)
    }

    /// The sentences of a text, without the white space between them.
    pub fn sentences<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut slices = Vec::new();
        let mut start = 0;
        for mark in marks(text) {
            if self.ends_sentence(&text[mark.context]) {
                slices.push((start, mark.end));
                start = mark.next;
            }
        }
        slices.push((start, text.trim_end_matches(is_space).len()));
        realign(text, &slices)
    }

    /// Whether a context holds the end of a sentence before its last word.
    fn ends_sentence(&self, context: &str) -> bool {
        let mut tokens: Vec<Token> = context
            .split('\n')
            .flat_map(words)
            .map(|word| self.token(word))
            .collect();
        for i in 1..tokens.len() {
            let (before, after) = tokens.split_at_mut(i);
            if let (Some(first), Some(second)) = (before.last_mut(), after.first()) {
                self.reconsider(first, second);
            }
        }
        let before_last = tokens.len().saturating_sub(1);
        tokens[..before_last].iter().any(|token| token.ends)
    }

    /// A word, judged by itself.
    fn token<'t>(&self, word: &'t str) -> Token<'t> {
        let ellipsis = word.len() > 1 && word.bytes().all(|b| b == b'.');
        let mut token = Token {
            word,
            kind: kind(word),
            ends: matches!(word, "." | "?" | "!"),
            abbreviation: false,
            ellipsis,
        };
        if !token.ends && !ellipsis && word.ends_with('.') && !word.ends_with("..") {
            let stem = word[..word.len() - 1].to_lowercase();
            let last = stem.rsplit('-').next().unwrap_or_default();
            let known = &self.0.abbreviations;
            token.abbreviation = known.contains(&stem) || known.contains(last);
            token.ends = !token.abbreviation;
        }
        token
    }

    /// A word that ends in a full stop, judged by the next one.
    fn reconsider(&self, token: &mut Token, next: &Token) {
        if !token.word.ends_with('.') {
            return;
        }
        let kind = without_stop(&token.kind);
        let next_kind = next.kind_in_sentence();
        let initial = is_initial(token.word);
        let pair = (kind.to_owned(), next_kind.to_owned());
        if self.0.collocations.contains(&pair) {
            token.ends = false;
            return;
        }
        let starts = self.starts_sentence(next);
        if (token.abbreviation || token.ellipsis) && !initial {
            let frequent = || upper(next.word) && self.0.starters.contains(next_kind);
            if starts == Some(true) || frequent() {
                token.ends = true;
                return;
            }
        }
        if initial || kind == NUMBER {
            let always_upper = || upper(next.word) && self.context(next_kind) & LOWER == 0;
            if starts == Some(false) || (starts.is_none() && initial && always_upper()) {
                token.ends = false;
            }
        }
    }

    /// What its case says about a word: whether it starts a sentence, if that can be told.
    fn starts_sentence(&self, token: &Token) -> Option<bool> {
        if matches!(token.word, ";" | ":" | "," | "." | "!" | "?") {
            return Some(false);
        }
        let seen = self.context(token.kind_in_sentence());
        if upper(token.word) && seen & LOWER != 0 && seen & MID_UPPER == 0 {
            return Some(true);
        }
        let lower = token.word.starts_with(char::is_lowercase);
        (lower && (seen & UPPER != 0 || seen & BEGIN_LOWER == 0)).then_some(false)
    }

    fn context(&self, kind: &str) -> u8 {
        self.0.contexts.get(kind).copied().unwrap_or_default()
    }
}

/// A word and what is thought of it.
struct Token<'t> {
    word: &'t str,
    /// In lower case; one for all numbers.
    kind: String,
    ends: bool,
    abbreviation: bool,
    ellipsis: bool,
}

impl Token<'_> {
    fn kind_in_sentence(&self) -> &str {
        if self.ends {
            without_stop(&self.kind)
        } else {
            &self.kind
        }
    }
}

fn without_stop(kind: &str) -> &str {
    kind.strip_suffix('.')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(kind)
}

fn upper(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

fn is_letter(c: char) -> bool {
    is_word(c) && !is_digit(c)
}

fn is_initial(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(is_letter) && chars.as_str() == "."
}

fn kind(word: &str) -> String {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let digits = digits.strip_prefix(['.', ',']).unwrap_or(digits);
    let number = digits.starts_with(is_digit)
        && digits
            .chars()
            .all(|c| is_digit(c) || matches!(c, ',' | '.' | '-'));
    if number {
        NUMBER.to_owned()
    } else {
        word.to_lowercase()
    }
}

/// A mark that may end a sentence.
struct Mark {
    /// Its word and what follows: a mark right behind it, or the next word.
    context: std::ops::Range<usize>,
    end: usize,
    /// Where the next sentence would start.
    next: usize,
}

/// The last mark of every word behind which another mark or another word stands.
fn marks(text: &str) -> Vec<Mark> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(skip) = text[at..].find(|c| !is_space(c)) {
        let start = at + skip;
        let length = text[start..].find(is_space);
        at = length.map_or(text.len(), |length| start + length);
        let gap = text[at..].find(|c| !is_space(c));
        let next = gap.map(|gap| at + gap);
        let ends = text[start..at].rmatch_indices(['.', '?', '!']);
        let mark = ends.map(|(i, _)| start + i + 1).find_map(|end| {
            if end == at {
                let next = next?;
                let length = text[next..].find(is_space);
                let stop = length.map_or(text.len(), |length| next + length);
                return Some(Mark {
                    context: start..stop,
                    end,
                    next,
                });
            }
            let stop = end + 1;
            text[end..].starts_with(is_mark).then_some(Mark {
                context: start..stop,
                end,
                next: end,
            })
        });
        found.extend(mark);
    }
    found
}

/// Hands closing marks at the start of a sentence to the one before.
fn realign<'a>(text: &'a str, slices: &[(usize, usize)]) -> Vec<&'a str> {
    let mut sentences = Vec::with_capacity(slices.len());
    let mut moved = 0;
    for (i, (start, end)) in slices.iter().enumerate() {
        let start = start + moved;
        moved = 0;
        let mut end = *end;
        if let Some(&(next, stop)) = slices.get(i + 1) {
            let closing = closing(text.get(next..stop).unwrap_or_default());
            if let Some((marks, whole)) = closing {
                end = next + marks;
                moved = whole;
            }
        }
        let sentence = text.get(start..end).unwrap_or_default();
        if !sentence.is_empty() {
            sentences.push(sentence);
        }
    }
    sentences
}

/// Closing marks before white space, `--` or the end: their length, and that with the white space.
fn closing(text: &str) -> Option<(usize, usize)> {
    let closes = |c: &char| matches!(c, '"' | '\'' | ')' | ']' | '}');
    let most = text.chars().take_while(closes).count();
    (1..=most).find_map(|length| {
        let rest = &text[length..];
        let behind = rest.trim_start_matches(is_space).len();
        let ends = behind < rest.len() || rest.is_empty() || rest.starts_with("--");
        ends.then_some((length, text.len() - behind))
    })
}

/// Punkt's words of a line: marks stand alone, but a full stop stays with its word.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let length = repeated_mark(rest).unwrap_or_else(|| {
            let inside = !"(\"`{[:;&#*@)}]-,".contains(first);
            if inside { word(rest) } else { first.len_utf8() }
        });
        words.push(&rest[..length]);
        rest = rest[length..].trim_start_matches(is_space);
    }
    words
}

/// The length of the shortest word at the start, of one letter at least.
fn word(text: &str) -> usize {
    let ends = |at: usize| {
        let rest = &text[at..];
        let comma = rest.strip_prefix(',');
        ends_word(rest) || comma.is_some_and(ends_word)
    };
    let later = text.char_indices().skip(1).map(|(at, _)| at);
    later
        .chain([text.len()])
        .find(|at| ends(*at))
        .unwrap_or(text.len())
}

fn ends_word(rest: &str) -> bool {
    rest.chars()
        .next()
        .is_none_or(|c| is_space(c) || is_mark(c))
        || repeated_mark(rest).is_some()
}

/// The length of two or more hyphens or full stops, or of three or more full stops with single spaces between.
fn repeated_mark(text: &str) -> Option<usize> {
    for mark in ['-', '.'] {
        let length = text.len() - text.trim_start_matches(mark).len();
        if length >= 2 {
            return Some(length);
        }
    }
    let (mut length, mut pairs, mut rest) = (0, 0, text);
    while let Some(behind) = rest.strip_prefix('.') {
        let Some(space) = behind.chars().next().filter(|c| is_space(*c)) else {
            return (pairs >= 2).then_some(length + 1);
        };
        pairs += 1;
        length += 1 + space.len_utf8();
        rest = &behind[space.len_utf8()..];
    }
    // The last space was not followed by a full stop: one pair is given back.
    (pairs >= 3).then(|| text[..length].trim_end_matches(is_space).len())
}

/// Marks that cannot stand inside of a word.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '?' | '!' | ')' | '"' | ';' | '}' | ']' | '*' | ':' | '@' | '\'' | '(' | '{' | '['
    )
}

/// White space as Python's expressions see it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// What Python's expressions take for a digit.
fn is_digit(c: char) -> bool {
    use regex::Regex;
    use std::sync::LazyLock;
    static DIGIT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d$").expect("a fixed pattern"));
    c.is_ascii_digit() || (!c.is_ascii() && DIGIT.is_match(c.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_punkt() {
        for (line, expected) in [
            ("Mr. Smith, 3.5 m.", "Mr.|Smith|,|3.5|m."),
            ("a,b c, \"d\"...e--f", "a,b|c|,|\"|d|\"|...|e|--|f"),
            (". . . x . . y", ". . .|x|.|.|y"),
            ("(it's)", "(|it|'s|)"),
            ("", ""),
        ] {
            assert_eq!(words(line).join("|"), expected);
        }
    }

    #[test]
    fn kinds() {
        for (word, expected) in [
            ("-1,000.5.", NUMBER),
            ("5", NUMBER),
            ("X1", "x1"),
            ("-", "-"),
            ("1a", "1a"),
        ] {
            assert_eq!(kind(word), expected);
        }
    }

    #[test]
    fn closing_marks_go_with_the_sentence_before() {
        assert_eq!(closing(") Next."), Some((1, 2)));
        assert_eq!(closing("\")"), Some((2, 2)));
        assert_eq!(closing(")x"), None);
        assert_eq!(closing("'--x"), Some((1, 1)));
    }
}
