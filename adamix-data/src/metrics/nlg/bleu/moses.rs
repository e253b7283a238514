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

/// The line that the script prints.
pub fn report(counts: &Counts) -> String {
    if counts.reference == 0.0 {
        return "BLEU = 0, 0/0/0/0 (BP=0, ratio=0, hyp_len=0, ref_len=0)".to_owned();
    }
    let precision = |n: usize| 100.0 * counts.matches[n] / counts.totals[n].max(1.0);
    let brevity = if counts.length < counts.reference {
        (1.0 - counts.reference / counts.length).exp()
    } else {
        1.0
    };
    format!(
        "BLEU = {:.2}, {:.1}/{:.1}/{:.1}/{:.1} (BP={:.3}, ratio={:.3}, hyp_len={}, ref_len={})",
        score(counts),
        precision(0),
        precision(1),
        precision(2),
        precision(3),
        brevity,
        counts.length / counts.reference,
        counts.length,
        counts.reference
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_scripts_form() {
        let references = vec![vec!["It is a cat, is it?".to_owned()]];
        let outputs = vec!["It is a cat, it is.".to_owned()];
        let counts: Counts = count(&references, &outputs).iter().sum();
        // Recorded from multi-bleu-detok.perl.
        assert_eq!(
            report(&counts),
            "BLEU = 56.23, 87.5/57.1/50.0/40.0 (BP=1.000, ratio=1.000, hyp_len=8, ref_len=8)"
        );
    }

    #[test]
    fn empty_texts_score_zero() {
        let counts = count(&[vec!["a".to_owned()]], &[String::new()])[0];
        assert_eq!(score(&counts), 0.0);
        assert_eq!(score(&Counts::default()), 0.0);
    }
}
