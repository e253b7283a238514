//! `multi-bleu-detok.perl` of Moses, which GenerationEval runs for WebNLG and DART: mteval-13a tokens,
//! case kept, no smoothing.

use super::super::mteval::{WhiteSpace, tokenize};
use super::{Counts, ORDERS};

/// Counts every segment.
pub fn count(references: &[Vec<String>], outputs: &[String]) -> Vec<Counts> {
    super::count(references, outputs, |text| {
        // The script reads bytes, so that only ASCII white space separates words.
        let text = tokenize(text, WhiteSpace::Ascii);
        let words = text.split(' ').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    })
}

/// The score, between 0 and 100.
pub fn score(counts: &Counts) -> f64 {
    if counts.reference == 0.0 || counts.length == 0.0 {
        return 0.0;
    }
    let brevity = if counts.length < counts.reference {
        (1.0 - counts.reference / counts.length).exp()
    } else {
        1.0
    };
    let sum: f64 = (0..ORDERS)
        .map(|n| (counts.matches[n] / counts.totals[n].max(1.0)).ln())
        .sum();
    100.0 * brevity * (sum / ORDERS as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_scores_as_in_the_script() {
        let references = vec![vec!["It is a cat, is it?".to_owned()]];
        let outputs = vec!["It is a cat, it is.".to_owned()];
        let counts: Counts = count(&references, &outputs).iter().sum();
        // Recorded from multi-bleu-detok.perl: 87.5/57.1/50.0/40.0 (BP=1.000, ratio=1.000, hyp_len=8, ref_len=8).
        assert_eq!(format!("{:.2}", score(&counts)), "56.23");
        assert_eq!((counts.length, counts.reference), (8.0, 8.0));
    }

    #[test]
    fn empty_texts_score_zero() {
        let counts = count(&[vec!["a".to_owned()]], &[String::new()])[0];
        assert_eq!(score(&counts), 0.0);
        assert_eq!(score(&Counts::default()), 0.0);
    }
}
