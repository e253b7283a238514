//! NLTK 3.5's `word_tokenize`, by which GenerationEval splits texts before METEOR, TER and its second BLEU.
//!
//! A text is split into sentences by Punkt, with NLTK's trained English model, and each sentence into words
//! by fixed rules. Without the model a plain rule ends sentences: at `.`, `?` or `!` before white space and
//! anything but a lower-case letter, unless the word is an initial or has another full stop inside. On text
//! that is split at every mark already, as the WebNLG and DART pipeline of LoRA and AdaMix writes it, no word
//! depends on where a sentence ends.

mod model;
mod sentences;
mod words;

pub use model::ModelError;
pub use sentences::Punkt;
pub use words::{WordRules, lower_and_split};

use regex::Regex;

/// Sentences and words.
pub struct Tokenizer {
    words: WordRules,
    punkt: Option<Punkt>,
    sentence_end: Regex,
    marks_together: Regex,
}

impl Tokenizer {
    /// With Punkt's trained model, or with the plain rule.
    pub fn new(punkt: Option<Punkt>) -> Self {
        Self {
            words: WordRules::new(),
            punkt,
            sentence_end: Regex::new(r#"[.?!]['")\]}»”’]*\s+"#).expect("a fixed pattern"),
            marks_together: Regex::new(r#"[.?!][)";}\]*:@'({\[]|\.[?!]"#).expect("a fixed pattern"),
        }
    }

    /// The words of a text of any number of sentences.
    pub fn words(&self, text: &str) -> Vec<String> {
        let sentences = match &self.punkt {
            Some(punkt) => punkt.sentences(text),
            None => self.sentences_by_rule(text),
        };
        let words = sentences.iter().map(|sentence| self.words.words(sentence));
        words.flatten().collect()
    }

    /// Whether the words of a text may depend on where a sentence ends: a mark at a word, before another; or right
    /// before a mark, where Punkt ends sentences, too.
    pub fn depends_on_sentences(&self, text: &str) -> bool {
        if self.marks_together.is_match(text) {
            return true;
        }
        let at_word = |start: usize| {
            let before = text[..start].chars().next_back();
            before.is_some_and(|c| !c.is_whitespace())
        };
        let mut ends = self.sentence_end.find_iter(text);
        ends.any(|end| end.end() < text.len() && at_word(end.start()))
    }

    fn sentences_by_rule<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut sentences = Vec::new();
        let mut start = 0;
        for end in self.sentence_end.find_iter(text) {
            if ends_sentence(text, end.start(), end.end()) {
                sentences.push(&text[start..end.end()]);
                start = end.end();
            }
        }
        sentences.push(&text[start..]);
        sentences
    }
}

fn ends_sentence(text: &str, mark: usize, next: usize) -> bool {
    if text[next..].chars().next().is_none_or(char::is_lowercase) {
        return false;
    }
    if !text[mark..].starts_with('.') {
        return true;
    }
    let word = text[..mark].rsplit(char::is_whitespace).next();
    let word = word.unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    !initial && !word.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_nltks() {
        let tokenizer = Tokenizer::new(None);
        let split = |text| tokenizer.words(text).join(" ");
        assert_eq!(
            split("It's \"good\" (really), isn't it? The U.S. cannot, 'em. 5,000: $3.50 end."),
            "It 's `` good '' ( really ) , is n't it ? The U.S. can not , 'em . 5,000 : $ 3.50 end ."
        );
        assert_eq!(split("a ' s . b"), "a ' s . b");
        assert_eq!(split(""), "");
    }

    #[test]
    fn only_marks_at_words_need_sentences() {
        let tokenizer = Tokenizer::new(None);
        for (text, expected) in [
            ("a . b ! c .", false),
            ("One sentence.", false),
            ("One. Two", true),
            ("one.) two", true),
            ("in 1903.), big", true),
            ("a club.?", true),
            ("\"One.\"", true),
            ("One!!", false),
        ] {
            assert_eq!(tokenizer.depends_on_sentences(text), expected, "{text}");
        }
    }
}
