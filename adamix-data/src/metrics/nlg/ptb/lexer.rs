//! The scanner: longest match over all rules at once, by a lazily built automaton.

use super::classes::{self, Classes};
use super::rules::{Action, Context, Rule, rules};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// A Penn Treebank scanner. Building one compiles the rules; scanning reuses what it has learnt.
pub struct Lexer {
    rules: Vec<Rule>,
    automaton: DFA,
    cache: Cache,
    classes: Classes,
}

impl Default for Lexer {
    fn default() -> Self {
        Self::new()
    }
}

impl Lexer {
    /// Compiles the rules.
    pub fn new() -> Self {
        let rules = rules();
        let patterns: Vec<&str> = rules.iter().map(|rule| rule.pattern.as_str()).collect();
        let automaton = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(16 << 20),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .build_many(&patterns)
            .expect("the rules are fixed and valid");
        let cache = automaton.create_cache();
        Self {
            rules,
            automaton,
            cache,
            classes: Classes::new(),
        }
    }

    /// Scans a text and hands over its tokens in lower case; a line break is `None`.
    pub fn scan(&mut self, text: &str, mut emit: impl FnMut(Option<&str>)) {
        let mut codes = Vec::with_capacity(text.len());
        // Byte offset of every character, and of the end.
        let mut offsets = Vec::with_capacity(text.len() + 1);
        for (offset, c) in text.char_indices() {
            codes.push(self.classes.of(c));
            offsets.push(offset);
        }
        offsets.push(text.len());

        let mut start = 0;
        while start < codes.len() {
            let (rule, length) = self.longest(&codes[start..]);
            let rule = &self.rules[rule];
            let matched = &codes[start..start + length];
            let mut end = start + kept(matched, rule.context);
            let mut next = end;
            match rule.action {
                Action::GiveBack(n) => {
                    end -= n;
                    next = end;
                }
                Action::Abbreviation => next -= 1,
                Action::Acronym => {
                    // A single letter with a full stop is the letter; longer ones keep theirs.
                    next -= 1;
                    if end - start == 2 {
                        end -= 1;
                    }
                }
                _ => {}
            }
            let token = &text[offsets[start]..offsets[end]];
            write(rule.action, token, &mut emit);
            start = next.max(start + 1);
        }
    }

    /// The rule and length of the longest match at the start of `codes`; there always is one.
    fn longest(&mut self, codes: &[u8]) -> (usize, usize) {
        let input = Input::new(codes).anchored(Anchored::Yes);
        match self.automaton.try_search_fwd(&mut self.cache, &input) {
            Ok(Some(found)) => (found.pattern().as_usize(), found.offset()),
            // Every character has a rule, and the cache never gives up: treat the rest as unknown.
            Ok(None) | Err(_) => (self.rules.len() - 1, 1),
        }
    }
}

/// How many characters of a match belong to the token.
fn kept(matched: &[u8], context: Context) -> usize {
    let blank = |c: &u8| {
        matches!(
            *c,
            b' ' | b'\t'
                ..=b'\r'
                    | classes::NO_BREAK_SPACE
                    | classes::SPACE
                    | classes::NEXT_LINE
                    | classes::LINE_SEPARATOR
        )
    };
    let apostrophe = |c: &u8| {
        matches!(
            *c,
            b'\'' | b'`' | b'&' | classes::APOSTROPHE | classes::LEFT_QUOTE
        )
    };
    let length = matched.len();
    let position = match context {
        Context::None => None,
        Context::Last(n) => Some(length - n),
        Context::FromSpace => matched.iter().position(blank),
        Context::SpaceDigit => Some(length - 1 - usize::from(blank(&matched[length - 2]))),
        Context::Contraction => matched.iter().rposition(apostrophe),
        Context::Negation => matched.iter().rposition(apostrophe).map(|i| i - 1),
    };
    position.unwrap_or(length)
}

fn write(action: Action, token: &str, emit: &mut impl FnMut(Option<&str>)) {
    let lower = |text: &str| text.to_lowercase();
    match action {
        Action::Skip => {}
        Action::NewLine => emit(None),
        Action::Write(text) => emit(Some(&lower(text))),
        Action::Keep | Action::GiveBack(_) | Action::Acronym | Action::Abbreviation => {
            emit(Some(&lower(token)));
        }
        Action::DropSoftHyphens => {
            let text = token.replace('\u{ad}', "");
            emit(Some(&lower(if text.is_empty() { "-" } else { &text })));
        }
        Action::UnescapeAmpersand => emit(Some(&lower(token).replace("&amp;", "&"))),
        Action::JoinSpaces => emit(Some(&lower(&token.replace(' ', "\u{a0}")))),
        Action::Phone => emit(Some(&brackets(&lower(&token.replace(' ', "\u{a0}"))))),
        Action::Parentheses => emit(Some(&brackets(&lower(token)))),
        Action::OpenQuote => emit(Some(&quotes(&lower(token), "`"))),
        Action::CloseQuote => emit(Some(&quotes(&lower(token), "'"))),
        Action::Currency => emit(Some(match token {
            "\u{a2}" => "cents",
            "\u{a3}" => "#",
            "\u{80}" | "\u{a4}" | "\u{20a0}" | "\u{20ac}" => "$",
            other => other,
        })),
        Action::Fraction => emit(Some(match token {
            "\u{bc}" => "1/4",
            "\u{bd}" => "1/2",
            "\u{be}" => "3/4",
            "\u{2153}" => "1/3",
            "\u{2154}" => "2/3",
            other => other,
        })),
        Action::Hyphens => emit(Some(if matches!(token.len(), 3 | 4) {
            "--"
        } else {
            token
        })),
    }
}

/// The Treebank's names for parentheses, in lower case.
fn brackets(text: &str) -> String {
    text.replace('(', "-lrb-").replace(')', "-rrb-")
}

/// LaTeX quotes; plain ones become `single` or its double.
fn quotes(text: &str, single: &str) -> String {
    let text = text.replace("&apos;", "'").replace("&quot;", "\"");
    let mut out = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match c {
            '\'' => out.push_str(single),
            '"' => {
                out.push_str(single);
                out.push_str(single);
            }
            '\u{91}' | '\u{2018}' | '\u{201b}' | '\u{2039}' => out.push('`'),
            '\u{92}' | '\u{2019}' | '\u{203a}' => out.push('\''),
            '\u{93}' | '\u{201c}' | '\u{ab}' => out.push_str("``"),
            '\u{94}' | '\u{201d}' | '\u{bb}' => out.push_str("''"),
            c => out.push(c),
        }
    }
    out
}
