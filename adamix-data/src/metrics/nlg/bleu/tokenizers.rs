//! sacreBLEU's tokenisers.

use super::super::mteval::{WhiteSpace, pairs, tokenize};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;

/// How texts are split into words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tokenizer {
    /// mteval-v13a.
    #[default]
    #[serde(rename = "13a")]
    V13a,
    /// mteval-v14, by Unicode categories.
    #[serde(rename = "intl")]
    Intl,
    /// Characters.
    #[serde(rename = "char")]
    Char,
    /// White space.
    #[serde(rename = "none")]
    None,
}

/// Splits texts into words, remembering what it learnt about characters.
pub(super) struct Splitter {
    kind: Tokenizer,
    punctuation: Regex,
    number: Regex,
    symbol: Regex,
    known: RefCell<HashMap<char, Category>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Category {
    Punctuation,
    Number,
    Symbol,
    Other,
}

impl Splitter {
    pub(super) fn new(kind: Tokenizer) -> Self {
        let class = |pattern| Regex::new(pattern).expect("a fixed pattern");
        Self {
            kind,
            punctuation: class(r"^\p{P}$"),
            number: class(r"^\p{N}$"),
            symbol: class(r"^\p{S}$"),
            known: RefCell::default(),
        }
    }

    /// The words of a text.
    pub(super) fn words(&self, text: &str) -> Vec<String> {
        let space = |c: char| WhiteSpace::Python.is(c);
        let text = text.trim_end_matches(space);
        match self.kind {
            Tokenizer::None => split(text),
            Tokenizer::V13a => split(&tokenize(text, WhiteSpace::Python)),
            Tokenizer::Char => {
                let chars = text.chars().filter(|&c| !space(c));
                chars.map(String::from).collect()
            }
            Tokenizer::Intl => split(&self.international(text)),
        }
    }

    /// The tokeniser of mteval-v14: punctuation apart unless between digits, symbols always.
    fn international(&self, text: &str) -> String {
        use Category::{Number, Punctuation, Symbol};
        let is = |c, category| self.category(c) == category;
        let chars: Vec<char> = text.chars().collect();
        let chars = pairs(
            &chars,
            |a, b| !is(a, Number) && is(b, Punctuation),
            |a, b| [a, ' ', b, ' '],
        );
        let chars = pairs(
            &chars,
            |a, b| is(a, Punctuation) && !is(b, Number),
            |a, b| [' ', a, ' ', b],
        );
        let mut out = String::with_capacity(chars.len() + 16);
        for c in chars {
            if is(c, Symbol) {
                out.extend([' ', c, ' ']);
            } else {
                out.push(c);
            }
        }
        out
    }

    fn category(&self, c: char) -> Category {
        if c.is_ascii_alphabetic() || c == ' ' {
            return Category::Other;
        }
        *self.known.borrow_mut().entry(c).or_insert_with(|| {
            let mut bytes = [0; 4];
            let text = c.encode_utf8(&mut bytes);
            if self.punctuation.is_match(text) {
                Category::Punctuation
            } else if self.number.is_match(text) {
                Category::Number
            } else if self.symbol.is_match(text) {
                Category::Symbol
            } else {
                Category::Other
            }
        })
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(|c| WhiteSpace::Python.is(c))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
