//! Every scorer against values recorded from the programs it agrees with, on random multilingual text:
//! sacreBLEU 2.6.0, pyter3, NLTK 3.5, chrF++.py, multi-bleu-detok.perl and both variants of mteval-13a.

use adamix_data::metrics::nlg::bleu::sacre::{Settings, Smoothing, Tokenizer};
use adamix_data::metrics::nlg::bleu::{self, moses, nltk, sacre};
use adamix_data::metrics::nlg::chrf;
use adamix_data::metrics::nlg::mteval::{self, Variant};
use adamix_data::metrics::nlg::nltk::WordRules;
use adamix_data::metrics::nlg::ter::{pyter, tercom};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Case {
    references: Vec<Vec<String>>,
    outputs: Vec<String>,
    sacrebleu: BTreeMap<String, f64>,
    ter: f64,
    chrf: f64,
    chrf_original: f64,
    pyter: Vec<f64>,
    nltk_bleu: f64,
    nltk_words: Vec<Vec<String>>,
    mteval_python: (f64, Option<f64>),
    mteval_perl: Option<(String, String)>,
    moses: String,
}

fn cases() -> Vec<Case> {
    let text = include_str!("fixtures/nlg_recorded.json");
    serde_json::from_str(text).expect("the fixture is valid")
}

/// The settings that a signature describes.
fn settings(signature: &str) -> Settings {
    let value = |name: &str| {
        let field = signature.split('|').find_map(|f| f.strip_prefix(name));
        field.unwrap_or_else(|| panic!("no {name} in {signature}"))
    };
    Settings {
        tokenizer: match value("tok:") {
            "13a" => Tokenizer::V13a,
            "intl" => Tokenizer::Intl,
            "char" => Tokenizer::Char,
            _ => Tokenizer::None,
        },
        smoothing: match value("smooth:") {
            "exp" => Smoothing::Exp,
            "floor[0.10]" => Smoothing::Floor(0.1),
            "add-k[1.00]" => Smoothing::AddK(1.0),
            _ => Smoothing::None,
        },
        lowercase: value("case:") == "lc",
        effective_order: value("eff:") == "yes",
    }
}

#[test]
fn sacrebleu_with_every_tokenizer_and_smoothing() {
    let mut compared = 0;
    for (i, case) in cases().iter().enumerate() {
        for (signature, &expected) in &case.sacrebleu {
            let settings = settings(signature);
            let numbers = case.references.iter().map(Vec::len);
            assert_eq!(&sacre::signature(&settings, numbers), signature);
            let counts = sacre::count(&case.references, &case.outputs, &settings);
            let score = sacre::score(&counts.iter().sum(), &settings);
            assert!(
                (score - expected).abs() < 1e-9,
                "case {i}, {signature}: {score}, sacreBLEU {expected}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 1000, "{compared} values compared");
}

#[test]
fn ter_and_chrf() {
    for (i, case) in cases().iter().enumerate() {
        let mut total = tercom::Counts::default();
        for (references, output) in case.references.iter().zip(&case.outputs) {
            total += &tercom::segment(references, output);
        }
        let score = total.score();
        assert!(
            (score - case.ter).abs() < 1e-9,
            "case {i}: TER {score}, sacreBLEU {}",
            case.ter
        );

        for (variant, expected) in [
            (chrf::Variant::SacreBleu, case.chrf / 100.0),
            (chrf::Variant::Original, case.chrf_original),
        ] {
            let mut total = chrf::Counts::default();
            for counts in chrf::count(&case.references, &case.outputs, variant) {
                total += &counts;
            }
            let score = total.score(variant);
            assert!(
                (score - expected).abs() < 1e-9,
                "case {i}: {variant:?} {score}, {expected}"
            );
        }

        for (j, &expected) in case.pyter.iter().enumerate() {
            let score = pyter::segment(&case.references[j], &case.outputs[j]);
            assert!(
                (score - expected).abs() < 1e-9,
                "case {i}.{j}: pyter {score}, {expected}"
            );
        }
    }
}

#[test]
fn mteval_in_both_variants() {
    for (i, case) in cases().iter().enumerate() {
        let total = |variant| -> mteval::Counts {
            let counts = mteval::count(&case.references, &case.outputs, variant);
            counts.iter().sum()
        };
        let counts = total(Variant::Python);
        let bleu = mteval::bleu(&counts, Variant::Python);
        assert!(
            (bleu - case.mteval_python.0).abs() < 1e-9,
            "case {i}: {bleu}"
        );
        if let Some(expected) = case.mteval_python.1 {
            let nist = mteval::nist(&counts, Variant::Python);
            assert!(
                (nist - expected).abs() < 1e-9,
                "case {i}: {nist}, {expected}"
            );
        }
        if let Some((bleu, nist)) = &case.mteval_perl {
            let counts = total(Variant::Perl);
            assert_eq!(
                &format!("{:.4}", mteval::bleu(&counts, Variant::Perl)),
                bleu,
                "case {i}"
            );
            assert_eq!(
                &format!("{:.4}", mteval::nist(&counts, Variant::Perl)),
                nist,
                "case {i}"
            );
        }
    }
}

/// The line that `multi-bleu-detok.perl` prints.
fn moses_line(counts: &bleu::Counts) -> String {
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
        moses::score(counts),
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

#[test]
fn moses_and_nltk() {
    let rules = WordRules::new();
    for (i, case) in cases().iter().enumerate() {
        let counts = moses::count(&case.references, &case.outputs);
        let total: bleu::Counts = counts.iter().sum();
        assert_eq!(moses_line(&total), case.moses, "case {i}");
        let counts = nltk::count(&case.references, &case.outputs);
        let score = nltk::score(&counts.iter().sum());
        assert!(
            (score - case.nltk_bleu).abs() < 1e-9,
            "case {i}: {score}, {}",
            case.nltk_bleu
        );
        for (output, expected) in case.outputs.iter().zip(&case.nltk_words) {
            assert_eq!(&rules.words(output), expected, "{output:?}");
        }
    }
}
