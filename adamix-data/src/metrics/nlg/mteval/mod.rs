//! BLEU and NIST of mteval version 13a, in the two variants of the E2E scripts: the Perl program
//! (`mteval-v13a-sig.pl`) and its Python rewrite (`measure_scores.py -p`).
//!
//! The two agree on BLEU but for empty outputs and smoothing; they differ in NIST, because the Perl
//! program takes the average reference length over the corpus and the Python one over each segment.

mod tokenizer;

pub(crate) use tokenizer::pairs;
pub use tokenizer::{WhiteSpace, tokenize};

use super::ngrams::{Ngrams, Tally};
use std::ops::AddAssign;

/// The longest n-gram that NIST counts; BLEU counts up to four words.
const ORDERS: usize = 5;
const BLEU_ORDERS: usize = 4;

/// Which program to agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// `mteval-v13a-sig.pl`, which the E2E scripts run by default.
    Perl,
    /// The Python rewrite, which they run with `-p`.
    Python,
}

/// What one segment, or a sum of segments, contributes to BLEU and NIST.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// N-grams of the output that are in a reference, clipped, for one to five words.
    pub matches: [f64; ORDERS],
    /// N-grams of the output.
    pub candidates: [f64; ORDERS],
    /// Information of the matching n-grams, in bits.
    pub information: [f64; ORDERS],
    /// Length of the reference nearest in length.
    pub closest: f64,
    /// Length of all references together.
    pub reference_words: f64,
    /// References that are not empty.
    pub references: f64,
    /// Average length of the references.
    pub mean_reference: f64,
    /// Number of segments.
    pub segments: f64,
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        for n in 0..ORDERS {
            self.matches[n] += other.matches[n];
            self.candidates[n] += other.candidates[n];
            self.information[n] += other.information[n];
        }
        self.closest += other.closest;
        self.reference_words += other.reference_words;
        self.references += other.references;
        self.mean_reference += other.mean_reference;
        self.segments += other.segments;
    }
}

impl<'a> std::iter::Sum<&'a Counts> for Counts {
    fn sum<I: Iterator<Item = &'a Counts>>(iter: I) -> Self {
        let mut total = Self::default();
        iter.for_each(|counts| total += counts);
        total
    }
}

/// Counts every segment; n-gram information is taken from all references.
pub fn count(references: &[Vec<String>], outputs: &[String], variant: Variant) -> Vec<Counts> {
    Corpus::new(references, outputs, variant).count(variant)
}

/// Counts every segment as if it were the whole corpus: n-gram information is that of its own references.
pub fn count_alone(
    references: &[Vec<String>],
    outputs: &[String],
    variant: Variant,
) -> Vec<Counts> {
    references
        .iter()
        .zip(outputs)
        .flat_map(|(references, output)| {
            let references = std::slice::from_ref(references);
            count(references, std::slice::from_ref(output), variant)
        })
        .collect()
}

/// BLEU with four orders, between 0 and 1.
pub fn bleu(counts: &Counts, variant: Variant) -> f64 {
    match variant {
        Variant::Perl => bleu_perl(counts),
        Variant::Python => bleu_python(counts, 0.0),
    }
}

/// Sentence BLEU of the E2E scripts' segment table: one is added to every n-gram count and total.
pub fn sentence_bleu(counts: &Counts) -> f64 {
    bleu_python(counts, 1.0)
}

fn bleu_perl(counts: &Counts) -> f64 {
    let length = counts.candidates[0];
    if length <= 0.0 {
        return 0.0;
    }
    let brevity = (1.0 - counts.closest / length).min(0.0).exp();
    let mut smooth = 1.0;
    let mut sum = 0.0;
    for n in 0..BLEU_ORDERS {
        let total = counts.candidates[n];
        sum += if total <= 0.0 {
            0.0
        } else if counts.matches[n] == 0.0 {
            smooth *= 2.0;
            (1.0 / (smooth * total)).ln()
        } else {
            (counts.matches[n] / total).ln()
        };
    }
    (sum / BLEU_ORDERS as f64).exp() * brevity
}

fn bleu_python(counts: &Counts, smoothing: f64) -> f64 {
    let length = counts.candidates[0];
    let brevity = if length <= counts.closest {
        (1.0 - counts.closest / if length == 0.0 { 1e-5 } else { length }).exp()
    } else {
        1.0
    };
    let sum: f64 = (0..BLEU_ORDERS)
        .map(|n| {
            let hits = (counts.matches[n] + smoothing).max(1e-15);
            let total = (counts.candidates[n] + smoothing).max(1e-9);
            (hits / total).ln()
        })
        .sum();
    brevity * (sum / BLEU_ORDERS as f64).exp()
}

/// NIST with five orders.
pub fn nist(counts: &Counts, variant: Variant) -> f64 {
    let gain: f64 = (0..ORDERS)
        .map(|n| match variant {
            Variant::Perl => counts.information[n] / counts.candidates[n].max(1.0),
            // The original divides by zero or a negative number here; such an order holds no n-gram.
            Variant::Python if counts.candidates[n] == 0.0 => 0.0,
            Variant::Python => counts.information[n] / counts.candidates[n],
        })
        .sum();
    let reference = match variant {
        Variant::Perl => counts.reference_words / (counts.references / counts.segments),
        Variant::Python => counts.mean_reference,
    };
    gain * length_penalty(counts.candidates[0] / reference)
}

/// NIST's penalty: one half where the output has two thirds of the reference's length.
fn length_penalty(ratio: f64) -> f64 {
    if ratio.is_nan() || ratio <= 0.0 {
        return 0.0;
    }
    if ratio >= 1.0 {
        return 1.0;
    }
    let beta = -0.5f64.ln() / 1.5f64.ln().powi(2);
    (-beta * ratio.ln().powi(2)).exp()
}

/// A tokenised corpus as n-gram numbers.
struct Corpus {
    ngrams: Ngrams,
    references: Vec<Vec<Vec<Vec<u32>>>>,
    outputs: Vec<Vec<Vec<u32>>>,
}

impl Corpus {
    fn new(references: &[Vec<String>], outputs: &[String], variant: Variant) -> Self {
        let mut ngrams = Ngrams::new();
        let mut sentence = |text: &str| {
            let tokens = tokens(text, variant);
            ngrams.sentence(tokens.split(' ').filter(|t| keep(t, variant)), ORDERS)
        };
        let references = references
            .iter()
            .map(|texts| texts.iter().map(|text| sentence(text)).collect())
            .collect();
        let outputs = outputs.iter().map(|text| sentence(text)).collect();
        Self {
            ngrams,
            references,
            outputs,
        }
    }

    fn count(&self, variant: Variant) -> Vec<Counts> {
        let information = self.information(variant);
        let mut best = Tally::default();
        let mut here = Tally::default();
        best.reserve(self.ngrams.len());
        here.reserve(self.ngrams.len());

        let segment = |(references, output): (&Vec<Vec<Vec<u32>>>, &Vec<Vec<u32>>)| {
            let mut counts = Counts {
                segments: 1.0,
                ..Counts::default()
            };
            let length = output[0].len();
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
                        counts.information[n] += information[ngram as usize];
                    }
                }
                here.clear();
                best.clear();
                counts.candidates[n] = match variant {
                    Variant::Perl => output[n].len() as f64,
                    Variant::Python => length as f64 - n as f64,
                };
            }
            let lengths: Vec<usize> = references.iter().map(|r| r[0].len()).collect();
            counts.closest = closest(length, &lengths, variant) as f64;
            counts.reference_words = lengths.iter().sum::<usize>() as f64;
            counts.references = lengths.iter().filter(|&&l| l > 0).count() as f64;
            counts.mean_reference = counts.reference_words / lengths.len().max(1) as f64;
            counts
        };
        self.references
            .iter()
            .zip(&self.outputs)
            .map(segment)
            .collect()
    }

    /// Bits that the last word of every n-gram adds, from the counts in all references.
    fn information(&self, variant: Variant) -> Vec<f64> {
        let mut counts = vec![0f64; self.ngrams.len()];
        let mut words = 0f64;
        for reference in self.references.iter().flatten() {
            words += reference[0].len() as f64;
            for &ngram in reference.iter().flatten() {
                counts[ngram as usize] += 1.0;
            }
        }
        counts[super::ngrams::EMPTY as usize] = words;
        // Perl takes the string "0" for false, so the word 0 counts as no context at all.
        let zero = match variant {
            Variant::Perl => self.ngrams.word("0"),
            Variant::Python => None,
        };
        (0..self.ngrams.len() as u32)
            .map(|ngram| {
                let parent = self.ngrams.parent(ngram);
                let context = if Some(parent) == zero {
                    words
                } else {
                    counts[parent as usize]
                };
                (context / counts[ngram as usize]).log2()
            })
            .collect()
    }
}

/// The reference length nearest to the output's; the shorter of two as near.
fn closest(length: usize, references: &[usize], variant: Variant) -> usize {
    references
        .iter()
        .enumerate()
        // The Perl program passes over empty references unless it is the first.
        .filter(|&(i, &r)| variant == Variant::Python || r > 0 || i == 0)
        .map(|(_, &r)| r)
        .min_by_key(|&r| (r.abs_diff(length), r))
        .unwrap_or(0)
}

fn tokens(text: &str, variant: Variant) -> String {
    match variant {
        Variant::Perl => {
            let mut text = tokenize(text, WhiteSpace::Unicode);
            text.make_ascii_lowercase();
            text
        }
        Variant::Python => {
            let text = tokenize(text, WhiteSpace::Python);
            // Lower case word by word, as the original does: it matters for a final sigma.
            let words: Vec<String> = text.split(' ').map(str::to_lowercase).collect();
            words.join(" ")
        }
    }
}

/// An empty text is no word in Perl and one empty word in Python.
fn keep(token: &str, variant: Variant) -> bool {
    variant == Variant::Python || !token.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(references: &[&[&str]], outputs: &[&str]) -> (Vec<Vec<String>>, Vec<String>) {
        let own = |t: &&str| (*t).to_owned();
        (
            references
                .iter()
                .map(|r| r.iter().map(own).collect())
                .collect(),
            outputs.iter().map(own).collect(),
        )
    }

    #[test]
    fn a_perfect_output_has_bleu_one() {
        let (r, o) = corpus(
            &[&["A b c, d!"], &["e f g h i"]],
            &["a B c, d!", "e f g h i"],
        );
        for variant in [Variant::Perl, Variant::Python] {
            let total = count(&r, &o, variant).iter().sum();
            assert!((bleu(&total, variant) - 1.0).abs() < 1e-12);
            assert!(nist(&total, variant) > 0.0);
        }
    }

    #[test]
    fn empty_outputs_and_texts_are_finite() {
        let (r, o) = corpus(&[&["a b", ""], &["c"]], &["", ""]);
        for variant in [Variant::Perl, Variant::Python] {
            let total = count(&r, &o, variant).iter().sum();
            assert!((0.0..=1.0).contains(&bleu(&total, variant)));
            assert!(nist(&total, variant).is_finite());
        }
    }

    #[test]
    fn ties_in_length_go_to_the_shorter_reference() {
        assert_eq!(closest(7, &[11, 8, 6], Variant::Perl), 6);
        assert_eq!(closest(7, &[11, 8, 0], Variant::Perl), 8);
        assert_eq!(closest(1, &[4, 0], Variant::Python), 0);
    }
}
