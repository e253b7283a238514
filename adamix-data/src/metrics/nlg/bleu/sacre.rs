//! BLEU as sacreBLEU 2.6.0 computes it, with its tokenisers, smoothing methods and signature.

use super::tokenizers::Splitter;
use super::{Counts, ORDERS};
use serde::{Deserialize, Serialize};

pub use super::tokenizers::Tokenizer;

/// The version whose scores and signature this agrees with.
pub const VERSION: &str = "2.6.0";

/// What stands in for an n-gram order without matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoothing {
    /// Halved for every such order, as mteval does.
    #[default]
    Exp,
    /// A small count (0.1 by default).
    Floor(f64),
    /// A number added to counts and totals beyond single words (1 by default).
    AddK(f64),
    /// Nothing: the score is zero.
    None,
}

/// Settings of sacreBLEU's BLEU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How texts are split.
    pub tokenizer: Tokenizer,
    /// How missing orders are smoothed.
    pub smoothing: Smoothing,
    /// Whether texts are made lower case.
    pub lowercase: bool,
    /// Whether orders that the output is too short for are left out, as for single sentences.
    pub effective_order: bool,
}

/// Counts every segment.
pub fn count(references: &[Vec<String>], outputs: &[String], settings: &Settings) -> Vec<Counts> {
    let splitter = Splitter::new(settings.tokenizer);
    super::count(references, outputs, |text| {
        if settings.lowercase {
            splitter.words(&text.to_lowercase())
        } else {
            splitter.words(text)
        }
    })
}

/// The score, between 0 and 100.
pub fn score(counts: &Counts, settings: &Settings) -> f64 {
    if counts.matches.iter().all(|&count| count == 0.0) {
        return 0.0;
    }
    let brevity = if counts.length < counts.reference {
        (1.0 - counts.reference / counts.length).exp()
    } else {
        1.0
    };
    let mut precisions = [0f64; ORDERS];
    let mut orders = ORDERS;
    let mut smooth = 1.0;
    for (n, precision) in precisions.iter_mut().enumerate() {
        let (mut matches, mut total) = (counts.matches[n], counts.totals[n]);
        if let Smoothing::AddK(k) = settings.smoothing
            && n > 0
        {
            matches += k;
            total += k;
        }
        if total == 0.0 {
            break;
        }
        if settings.effective_order {
            orders = n + 1;
        }
        *precision = if matches > 0.0 {
            100.0 * matches / total
        } else {
            match settings.smoothing {
                Smoothing::Exp => {
                    smooth *= 2.0;
                    100.0 / (smooth * total)
                }
                Smoothing::Floor(value) => 100.0 * value / total,
                Smoothing::AddK(_) | Smoothing::None => 0.0,
            }
        };
    }
    // The logarithm of nothing is a very small number in the original; the score is zero either way.
    let sum: f64 = precisions[..orders].iter().map(|p| p.ln()).sum();
    brevity * (sum / orders as f64).exp()
}

/// sacreBLEU's signature of these settings for segments with these numbers of references.
pub fn signature(settings: &Settings, references: impl Iterator<Item = usize>) -> String {
    let smoothing = match settings.smoothing {
        Smoothing::Exp => "exp".to_owned(),
        Smoothing::Floor(value) => format!("floor[{value:.2}]"),
        Smoothing::AddK(value) => format!("add-k[{value:.2}]"),
        Smoothing::None => "none".to_owned(),
    };
    let tokenizer = match settings.tokenizer {
        Tokenizer::V13a => "13a",
        Tokenizer::Intl => "intl",
        Tokenizer::Char => "char",
        Tokenizer::None => "none",
    };
    let case = if settings.lowercase { "lc" } else { "mixed" };
    let effective = if settings.effective_order {
        "yes"
    } else {
        "no"
    };
    format!(
        "nrefs:{}|case:{case}|eff:{effective}|tok:{tokenizer}|smooth:{smoothing}|version:{VERSION}",
        number_of_references(references)
    )
}

/// The number of references, `var` if segments differ.
pub(crate) fn number_of_references(references: impl Iterator<Item = usize>) -> String {
    let mut numbers: Vec<usize> = references.collect();
    numbers.sort_unstable();
    numbers.dedup();
    match numbers.as_slice() {
        [number] => number.to_string(),
        _ => "var".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_sacrebleus() {
        let settings = Settings::default();
        assert_eq!(
            signature(&settings, [2, 2].into_iter()),
            "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
        );
        let settings = Settings {
            tokenizer: Tokenizer::Intl,
            smoothing: Smoothing::Floor(0.1),
            lowercase: true,
            effective_order: true,
        };
        assert_eq!(
            signature(&settings, [2, 1].into_iter()),
            "nrefs:var|case:lc|eff:yes|tok:intl|smooth:floor[0.10]|version:2.6.0"
        );
    }

    #[test]
    fn without_smoothing_a_missing_order_is_zero() {
        let texts = ([vec!["a b c d".to_owned()]], ["a b x d".to_owned()]);
        let settings = |smoothing| Settings {
            smoothing,
            ..Settings::default()
        };
        let of = |smoothing| {
            let settings = settings(smoothing);
            score(&count(&texts.0, &texts.1, &settings)[0], &settings)
        };
        assert_eq!(of(Smoothing::None), 0.0);
        assert!(of(Smoothing::Floor(0.1)) < of(Smoothing::Exp));
        assert!(of(Smoothing::AddK(1.0)) > of(Smoothing::Exp));
    }
}
