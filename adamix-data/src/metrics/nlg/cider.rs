//! CIDEr as coco-caption computes it, which is the variant called CIDEr-D: clipped counts and a Gaussian
//! penalty on the difference in length, n-grams of one to four words weighted by their rarity among the
//! references of the test set.

use super::ngrams::{Ngrams, Tally};

const ORDERS: usize = 4;
const SIGMA: f64 = 6.0;

/// A sentence as weights of its n-grams.
struct Vector {
    /// N-gram and weight, by number of words, in order of first appearance.
    weights: [Vec<(u32, f64)>; ORDERS],
    norms: [f64; ORDERS],
    /// The original counts bigrams here, not words.
    length: f64,
}

/// The score of every segment, from tokenised texts; the corpus score is the mean.
pub fn segments(references: &[Vec<String>], outputs: &[String]) -> Vec<f64> {
    let mut ngrams = Ngrams::new();
    let mut sentence = |text: &String| {
        let tokens = text.split(|c| super::mteval::WhiteSpace::Python.is(c));
        ngrams.sentence(tokens.filter(|t| !t.is_empty()), ORDERS)
    };
    let references: Vec<Vec<_>> = references
        .iter()
        .map(|texts| texts.iter().map(&mut sentence).collect())
        .collect();
    let outputs: Vec<_> = outputs.iter().map(&mut sentence).collect();

    let mut seen = Tally::default();
    seen.reserve(ngrams.len());
    let mut frequency = vec![0f64; ngrams.len()];
    for texts in &references {
        for &ngram in texts.iter().flatten().flatten() {
            if seen.add(ngram) == 1 {
                frequency[ngram as usize] += 1.0;
            }
        }
        seen.clear();
    }
    let documents = (references.len() as f64).ln();
    let rarity: Vec<f64> = frequency
        .iter()
        .map(|f| documents - f.max(1.0).ln())
        .collect();

    let mut dense = vec![0f64; ngrams.len()];
    references
        .iter()
        .zip(&outputs)
        .map(|(texts, output)| {
            let output = vector(output, &rarity, &mut seen);
            let mut total = 0.0;
            for reference in texts {
                let reference = vector(reference, &rarity, &mut seen);
                total += similarity(&output, &reference, &mut dense);
            }
            total / ORDERS as f64 / texts.len() as f64 * 10.0
        })
        .collect()
}

fn vector(sentence: &[Vec<u32>], rarity: &[f64], tally: &mut Tally) -> Vector {
    let mut vector = Vector {
        weights: Default::default(),
        norms: [0.0; ORDERS],
        length: sentence[1].len() as f64,
    };
    for (n, level) in sentence.iter().enumerate() {
        let mut unique = Vec::new();
        for &ngram in level {
            if tally.add(ngram) == 1 {
                unique.push(ngram);
            }
        }
        vector.weights[n] = unique
            .into_iter()
            .map(|ngram| (ngram, f64::from(tally.get(ngram)) * rarity[ngram as usize]))
            .collect();
        tally.clear();
        let square: f64 = vector.weights[n].iter().map(|(_, w)| w * w).sum();
        vector.norms[n] = square.sqrt();
    }
    vector
}

/// The sum over orders of the clipped cosine, times the length penalty.
fn similarity(output: &Vector, reference: &Vector, dense: &mut [f64]) -> f64 {
    let delta = output.length - reference.length;
    let penalty = (-(delta * delta) / (2.0 * SIGMA * SIGMA)).exp();
    let mut total = 0.0;
    for n in 0..ORDERS {
        for &(ngram, weight) in &reference.weights[n] {
            dense[ngram as usize] = weight;
        }
        let mut value = 0.0;
        for &(ngram, weight) in &output.weights[n] {
            let other = dense[ngram as usize];
            value += weight.min(other) * other;
        }
        for &(ngram, _) in &reference.weights[n] {
            dense[ngram as usize] = 0.0;
        }
        if output.norms[n] != 0.0 && reference.norms[n] != 0.0 {
            value /= output.norms[n] * reference.norms[n];
        }
        total += value * penalty;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_equal_to_its_only_reference_scores_ten() {
        let references = vec![vec!["a b c d e".to_owned()], vec!["f g h i j".to_owned()]];
        let outputs = vec!["a b c d e".to_owned(), "a b c d e".to_owned()];
        let scores = segments(&references, &outputs);
        assert!((scores[0] - 10.0).abs() < 1e-9);
        assert_eq!(scores[1], 0.0);
    }
}
