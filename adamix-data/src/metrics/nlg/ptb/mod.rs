//! The Penn Treebank tokenisation of coco-caption: the scanner of Stanford CoreNLP 3.4.1 with
//! `-preserveLines -lowerCase`, then a fixed list of punctuation taken out.
//!
//! The scanner looks across line ends, so all captions of one side are tokenised as one text, in their
//! order, exactly as the official scripts hand them over.

mod classes;
mod lexer;
mod rules;

pub use lexer::Lexer;

/// The tokens that coco-caption removes. The bracket names never match, since tokens are lower case by
/// then; they are listed so that the list is the official one.
const PUNCTUATION: [&str; 18] = [
    "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--",
    "...", ";", "",
];

/// Tokenises captions: one string of space-separated tokens for each, in order.
///
/// Line breaks inside a caption are taken as spaces.
pub fn tokenize(lexer: &mut Lexer, captions: &[&str]) -> Vec<String> {
    let mut text = String::with_capacity(captions.iter().map(|c| c.len() + 1).sum());
    for (i, caption) in captions.iter().enumerate() {
        if i > 0 {
            text.push('\n');
        }
        text.extend(caption.chars().map(|c| match c {
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}' => ' ',
            c => c,
        }));
    }
    let mut lines = vec![String::new(); captions.len()];
    let mut line = 0;
    lexer.scan(&text, |token| match token {
        // Attribute values of markup are the one token that may hold a line break.
        Some(token) => {
            for (i, part) in token.split('\n').enumerate() {
                line += usize::from(i > 0);
                if let Some(target) = lines.get_mut(line)
                    && !PUNCTUATION.contains(&part)
                {
                    if !target.is_empty() {
                        target.push(' ');
                    }
                    target.push_str(part);
                }
            }
        }
        None => line += 1,
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_become_the_tokens_of_the_official_scanner() {
        // Recorded from CoreNLP 3.4.1 and coco-caption's list.
        let mut lexer = Lexer::new();
        let lines = tokenize(
            &mut lexer,
            &[
                "Blue Spice isn't cheap (about £20-25), it's \"kid-friendly\"!",
                "",
                "They cannot say 1/2 or 50% of Zizzi's & Co. Ltd. at Café Rouge... e.g. U.S. food.",
                "Call 0122 323 3178 – it’s 5-star.",
            ],
        );
        assert_eq!(
            lines,
            [
                "blue spice is n't cheap -lrb- about # 20-25 -rrb- it 's kid-friendly",
                "",
                "they can not say 1/2 or 50 % of zizzi 's & co. ltd. at café rouge e.g. u.s. food",
                "call 0122\u{a0}323\u{a0}3178 it 's 5-star",
            ]
        );
    }
}
