//! BLEU on words: what the Moses script, sacreBLEU and NLTK have in common.

pub mod moses;
pub mod nltk;
pub mod sacre;
mod tokenizers;

use super::ngrams::{Ngrams, Tally};
use std::ops::AddAssign;

/// The longest n-gram.
pub const ORDERS: usize = 4;

/// What a segment, or several, contribute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Clipped matches of one to four words.
    pub matches: [f64; ORDERS],
    /// N-grams of the output.
    pub totals: [f64; ORDERS],
    /// Words of the output.
    pub length: f64,
    /// Words of the reference nearest in length, the shorter of two as near.
    pub reference: f64,
}

impl Counts {
    /// What there is to keep of a segment: its matches, its words, and the words of its reference.
    pub fn compact(&self) -> [u32; ORDERS + 2] {
        let [a, b, c, d] = self.matches;
        [a, b, c, d, self.length, self.reference].map(|count| count as u32)
    }

    /// A segment from what was kept of it.
    pub fn from_compact(kept: [u32; ORDERS + 2]) -> Self {
        let [a, b, c, d, length, reference] = kept.map(f64::from);
        Self {
            matches: [a, b, c, d],
            totals: [0.0, 1.0, 2.0, 3.0].map(|shorter| (length - shorter).max(0.0)),
            length,
            reference,
        }
    }

    /// The same with as many n-grams as the Python variant of the E2E scripts counts: in a text shorter than the
    /// n-gram, less than none.
    pub fn with_less_than_none(self) -> Self {
        Self {
            totals: [0.0, 1.0, 2.0, 3.0].map(|shorter| self.length - shorter),
            ..self
        }
    }
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        for n in 0..ORDERS {
            self.matches[n] += other.matches[n];
            self.totals[n] += other.totals[n];
        }
        self.length += other.length;
        self.reference += other.reference;
    }
}

impl<'a> std::iter::Sum<&'a Counts> for Counts {
    fn sum<I: Iterator<Item = &'a Counts>>(iter: I) -> Self {
        let mut total = Self::default();
        iter.for_each(|counts| total += counts);
        total
    }
}

/// Counts every segment; `words` splits a text into its tokens.
pub(crate) fn count<F>(references: &[Vec<String>], outputs: &[String], words: F) -> Vec<Counts>
where
    F: Fn(&str) -> Vec<String>,
{
    let mut ngrams = Ngrams::new();
    let mut best = Tally::default();
    let mut here = Tally::default();
    references
        .iter()
        .zip(outputs)
        .map(|(references, output)| {
            let mut sentence =
                |text: &str| ngrams.sentence(words(text).iter().map(String::as_str), ORDERS);
            let output = sentence(output);
            let references: Vec<_> = references.iter().map(|text| sentence(text)).collect();
            best.reserve(ngrams.len());
            here.reserve(ngrams.len());
            segment(&references, &output, &mut best, &mut here)
        })
        .collect()
}

fn segment(
    references: &[Vec<Vec<u32>>],
    output: &[Vec<u32>],
    best: &mut Tally,
    here: &mut Tally,
) -> Counts {
    let length = output[0].len();
    let reference = references
        .iter()
        .map(|reference| reference[0].len())
        .min_by_key(|&r| (r.abs_diff(length), r));
    let mut counts = Counts {
        length: length as f64,
        reference: reference.unwrap_or(0) as f64,
        ..Counts::default()
    };
    for n in 0..ORDERS {
        for reference in references {
            for &ngram in &reference[n] {
                let count = here.add(ngram);
                if count > best.get(ngram) {
                    best.set(ngram, count);
                }
            }
            here.clear();
        }
        for &ngram in &output[n] {
            if here.add(ngram) <= best.get(ngram) {
                counts.matches[n] += 1.0;
            }
        }
        here.clear();
        best.clear();
        counts.totals[n] = output[n].len() as f64;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_comes_back_from_what_is_kept_of_it() {
        let references = vec![vec!["a red old house".to_owned(), "a house".to_owned()]];
        let split = |text: &str| text.split(' ').map(str::to_owned).collect();
        for text in ["a red old cat sleeps", "a house", "house"] {
            let counts = count(&references, &[text.to_owned()], split)[0];
            assert_eq!(Counts::from_compact(counts.compact()), counts, "{text}");
        }
        // `len(pred) - n` in the rewrite of mteval.
        let short = Counts::from_compact([1, 0, 0, 0, 1, 4]).with_less_than_none();
        assert_eq!(short.totals, [1.0, 0.0, -1.0, -2.0]);
    }

    #[test]
    fn matches_are_clipped_by_the_richest_reference() {
        let references = vec![vec!["the cat the".to_owned(), "a cat".to_owned()]];
        let outputs = vec!["the the the cat".to_owned()];
        let split = |text: &str| text.split(' ').map(str::to_owned).collect();
        let counts = count(&references, &outputs, split)[0];
        assert_eq!(counts.matches, [3.0, 1.0, 0.0, 0.0]);
        assert_eq!(counts.totals, [4.0, 3.0, 2.0, 1.0]);
        assert_eq!(counts.reference, 3.0);
    }
}
