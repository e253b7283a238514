//! Generated texts of several runs, as far as BLEU needs them.

use adamix_data::metrics::nlg::bleu::{Counts, moses};
use anyhow::{Result, ensure};

use super::super::view::Reading;
use crate::report::Record;
use crate::report::record::Rule;

/// What the texts of several runs add to BLEU.
pub(crate) struct Texts {
    /// BLEU of a perfect text.
    whole: f64,
    /// The inputs of each run.
    pub runs: Vec<Vec<Counts>>,
}

impl Texts {
    /// None where there is no run, or nothing is kept of its texts.
    pub fn of(records: &[&Record], reading: Reading, rule: Rule) -> Result<Option<Self>> {
        let Some(first) = records.first() else {
            return Ok(None);
        };
        let inputs = first.state(rule).bleu.len();
        if inputs == 0 || reading != Reading::Own {
            return Ok(None);
        }
        let mut runs = Vec::new();
        for record in records {
            let kept = &record.state(rule).bleu;
            ensure!(
                kept.len() == inputs && record.data_hash == first.data_hash,
                "records {} and {} are not of the same inputs",
                first.id,
                record.id
            );
            runs.push(kept.iter().map(|text| record.counts(*text)).collect());
        }
        Ok(Some(Self {
            whole: first.perfect_bleu(),
            runs,
        }))
    }

    /// How many inputs.
    pub fn examples(&self) -> usize {
        self.runs[0].len()
    }

    fn bleu<'a>(&self, segments: impl Iterator<Item = &'a Counts>) -> f64 {
        moses::score(&segments.sum()) * self.whole / 100.0
    }

    /// BLEU of a run on inputs, which may repeat.
    pub fn score(&self, run: usize, inputs: &[usize], metric: &str) -> Option<f64> {
        let segments = inputs.iter().map(|i| &self.runs[run][*i]);
        (metric == "bleu").then(|| self.bleu(segments))
    }

    /// The difference of a run's BLEU from another method's when the texts of the marked inputs change sides.
    pub fn swapped(&self, other: &Self, run: usize, swap: &[bool], metric: &str) -> Option<f64> {
        let (own, others) = (&self.runs[run], &other.runs[run]);
        let side = |stay: &'_ [Counts], come: &'_ [Counts]| {
            let pick = |(i, swap): (usize, &bool)| if *swap { come[i] } else { stay[i] };
            let picked: Vec<Counts> = swap.iter().enumerate().map(pick).collect();
            self.bleu(picked.iter())
        };
        (metric == "bleu" && own.len() == others.len())
            .then(|| side(own, others) - side(others, own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bleu_of_a_corpus_is_that_of_its_sums() {
        // 8 of 10 words, 6 of 8 pairs, 4 of 6, 2 of 4; 10 words against 12: exp(1 - 1.2) (0.8 * 0.75 * 2/3 / 2)^(1/4).
        let segment = Counts::from_compact([4, 3, 2, 1, 5, 6]);
        let texts = |whole| Texts {
            whole,
            runs: vec![vec![segment, segment]],
        };
        let expected = (-0.2f64).exp() * 0.2f64.powf(0.25);
        let found = texts(1.0).score(0, &[0, 1], "bleu").unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        let found = texts(100.0).score(0, &[1, 1], "bleu").unwrap();
        assert!((found - 100.0 * expected).abs() < 1e-9);
        assert_eq!(texts(1.0).score(0, &[0], "nist"), None);
        // Against itself nothing differs, whatever is swapped.
        let swapped = texts(1.0).swapped(&texts(1.0), 0, &[true, false], "bleu");
        assert_eq!(swapped, Some(0.0));
    }
}
