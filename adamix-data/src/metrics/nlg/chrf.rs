//! chrF++: F-score of character n-grams (one to six) and word n-grams (one and two), recall counting
//! twice as much as precision.

use super::mteval::WhiteSpace;
use super::ngrams::{Ngrams, Tally};
use std::ops::AddAssign;

const CHARACTER_ORDERS: usize = 6;
const WORD_ORDERS: usize = 2;
const ORDERS: usize = CHARACTER_ORDERS + WORD_ORDERS;
const EPSILON: f64 = 1e-16;

/// Which program to agree with; they differ where an order has no n-grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// sacreBLEU's chrF2++: averages precision and recall over the orders that exist.
    SacreBleu,
    /// `chrF++.py`, which GenerationEval runs: averages the F-scores of all orders.
    Original,
}

/// N-grams of a segment, or of several, by order: of the output, of the reference, common to both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Six orders of characters, then two of words.
    pub orders: [[f64; 3]; ORDERS],
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        for (sum, counts) in self.orders.iter_mut().zip(&other.orders) {
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
}

impl Counts {
    /// The score, between 0 and 1.
    pub fn score(&self, variant: Variant) -> f64 {
        const FACTOR: f64 = 4.0;
        let f = |precision: f64, recall: f64| {
            (1.0 + FACTOR) * precision * recall / (FACTOR * precision + recall)
        };
        let (mut score, mut precisions, mut recalls, mut orders) = (0.0, 0.0, 0.0, 0.0);
        for [output, reference, common] in self.orders {
            let precision = if output > 0.0 {
                common / output
            } else {
                EPSILON
            };
            let recall = if reference > 0.0 {
                common / reference
            } else {
                EPSILON
            };
            let value = f(precision, recall);
            score += if value.is_nan() { EPSILON } else { value };
            if output > 0.0 && reference > 0.0 {
                precisions += precision;
                recalls += recall;
                orders += 1.0;
            }
        }
        match variant {
            Variant::Original => score / ORDERS as f64,
            Variant::SacreBleu if orders == 0.0 || precisions + recalls == 0.0 => 0.0,
            Variant::SacreBleu => f(precisions / orders, recalls / orders),
        }
    }
}

impl Counts {
    /// The score by which the best reference of a segment is chosen: the original leaves orders without
    /// matches out of it.
    fn rank(&self, variant: Variant) -> f64 {
        match variant {
            Variant::SacreBleu => self.score(variant),
            Variant::Original => {
                let mut matched = *self;
                for order in &mut matched.orders {
                    if order[2] == 0.0 {
                        *order = [1.0, 0.0, 0.0];
                    }
                }
                matched.score(variant)
            }
        }
    }
}

/// Counts every segment against the reference that gives it the highest score.
pub fn count(references: &[Vec<String>], outputs: &[String], variant: Variant) -> Vec<Counts> {
    let mut characters = Ngrams::new();
    let mut words = Ngrams::new();
    let mut tally = Tally::default();
    let mut levels = |text: &str| -> Vec<Vec<u32>> {
        let skip = |c: &char| match variant {
            Variant::SacreBleu => WhiteSpace::Python.is(*c),
            Variant::Original => *c == ' ',
        };
        let text = match variant {
            Variant::SacreBleu => text,
            Variant::Original => text.trim_matches(|c| WhiteSpace::Python.is(c)),
        };
        let codes: Vec<u32> = text.chars().filter(|c| !skip(c)).map(u32::from).collect();
        let mut levels = characters.of(&codes, CHARACTER_ORDERS);
        levels.extend(words.sentence(separate_punctuation(text).into_iter(), WORD_ORDERS));
        levels
    };
    let segments: Vec<_> = references
        .iter()
        .zip(outputs)
        .map(|(references, output)| {
            // The original leaves empty references out.
            let used = references
                .iter()
                .filter(|text| variant == Variant::SacreBleu || !text.trim().is_empty());
            let references: Vec<_> = used.map(|text| levels(text)).collect();
            (references, levels(output))
        })
        .collect();
    tally.reserve(characters.len().max(words.len()));
    segments
        .into_iter()
        .map(|(references, output)| {
            let mut best = Counts::default();
            let mut highest = -1.0;
            for reference in &references {
                let counts = compare(&output, reference, &mut tally);
                let score = counts.rank(variant);
                if score > highest {
                    highest = score;
                    best = counts;
                }
            }
            best
        })
        .collect()
}

fn compare(output: &[Vec<u32>], reference: &[Vec<u32>], tally: &mut Tally) -> Counts {
    let mut counts = Counts::default();
    for (i, (output, reference)) in output.iter().zip(reference).enumerate() {
        for &ngram in reference {
            tally.add(ngram);
        }
        let mut common = 0.0;
        for &ngram in output {
            let left = tally.get(ngram);
            if left > 0 {
                tally.set(ngram, left - 1);
                common += 1.0;
            }
        }
        tally.clear();
        // Where the reference has no n-gram of this order, the output's do not count.
        let length = if reference.is_empty() {
            0
        } else {
            output.len()
        };
        counts.orders[i] = [length as f64, reference.len() as f64, common];
    }
    counts
}

/// Words, with one mark of punctuation taken off their end or else their start.
fn separate_punctuation(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let parts = text.split(|c| WhiteSpace::Python.is(c));
    for word in parts.filter(|word| !word.is_empty()) {
        let last = word.chars().next_back().map_or(0, char::len_utf8);
        let (head, tail) = word.split_at(word.len() - last);
        if head.is_empty() {
            words.push(word);
        } else if tail.starts_with(|c: char| c.is_ascii_punctuation()) {
            words.extend([head, tail]);
        } else if word.starts_with(|c: char| c.is_ascii_punctuation()) {
            words.extend([&word[..1], &word[1..]]);
        } else {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_comes_off_one_end() {
        assert_eq!(
            separate_punctuation("(hi) a. «x» 'tis !"),
            ["(hi", ")", "a", ".", "«x»", "'", "tis", "!"]
        );
    }

    #[test]
    fn equal_texts_score_one_and_strangers_nothing() {
        let texts = |text: &str| vec![text.to_owned()];
        let of = |reference: &str, output: &str, variant| {
            count(&[texts(reference)], &texts(output), variant)[0].score(variant)
        };
        for variant in [Variant::SacreBleu, Variant::Original] {
            let same = of("a long sentence here.", "a long sentence here.", variant);
            assert!((same - 1.0).abs() < 1e-12);
            assert!(of("abc", "xyz", variant) < 1e-12);
            assert!(of("", "", variant) < 1e-12);
        }
    }
}
