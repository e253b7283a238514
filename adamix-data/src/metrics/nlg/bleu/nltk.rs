//! NLTK's corpus BLEU with smoothing method 3, the second BLEU that GenerationEval prints.

use super::{Counts, ORDERS};

/// Counts every segment of texts that are tokenised already; references without words are left out, and
/// segments without any other.
pub fn count(references: &[Vec<String>], outputs: &[String]) -> Vec<Counts> {
    let filled: Vec<Vec<String>> = references
        .iter()
        .map(|texts| {
            let texts = texts.iter().filter(|text| !text.trim().is_empty());
            texts.cloned().collect()
        })
        .collect();
    let split = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    super::count(&filled, outputs, split)
        .into_iter()
        .zip(&filled)
        .map(|(mut counts, references)| {
            if references.is_empty() {
                return Counts::default();
            }
            // NLTK never counts fewer than one n-gram in a segment.
            counts.totals = counts.totals.map(|total| total.max(1.0));
            counts
        })
        .collect()
}

/// The score, between 0 and 1.
pub fn score(counts: &Counts) -> f64 {
    if counts.matches[0] == 0.0 || counts.length == 0.0 {
        return 0.0;
    }
    let brevity = if counts.length > counts.reference {
        1.0
    } else {
        (1.0 - counts.reference / counts.length).exp()
    };
    let mut smooth = 1.0;
    let mut sum = 0.0;
    for n in 0..ORDERS {
        let precision = if counts.matches[n] == 0.0 {
            smooth *= 2.0;
            1.0 / (smooth * counts.totals[n])
        } else {
            counts.matches[n] / counts.totals[n]
        };
        sum += precision.ln();
    }
    brevity * (sum / ORDERS as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_references_do_not_count() {
        let references = vec![
            vec!["a b c d e".to_owned(), " ".to_owned()],
            vec![String::new()],
        ];
        let outputs = vec!["a b c d e".to_owned(), "x".to_owned()];
        let counts: Counts = count(&references, &outputs).iter().sum();
        assert_eq!(score(&counts), 1.0);
        assert_eq!(score(&Counts::default()), 0.0);
    }
}
