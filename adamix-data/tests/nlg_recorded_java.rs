//! The two Java programs of the E2E scripts against values recorded from them: CoreNLP's tokeniser with
//! coco-caption's list of punctuation, and METEOR 1.5 (compared where its data is at hand).

use adamix_data::metrics::nlg::meteor::{Meteor, MeteorError, Statistics};
use adamix_data::metrics::nlg::ptb;
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    captions: Vec<String>,
    tokens: Vec<String>,
    pairs: Vec<(String, String)>,
    meteor: Vec<f64>,
    meteor_total: f64,
}

fn recorded() -> Recorded {
    let text = include_str!("fixtures/nlg_recorded_java.json");
    serde_json::from_str(text).expect("the fixture is valid")
}

#[test]
fn captions_are_tokenised_as_by_corenlp() {
    let recorded = recorded();
    let captions: Vec<&str> = recorded.captions.iter().map(String::as_str).collect();
    let tokens = ptb::tokenize(&mut ptb::Lexer::new(), &captions);
    for (i, (found, expected)) in tokens.iter().zip(&recorded.tokens).enumerate() {
        assert_eq!(found, expected, "caption {i}: {:?}", captions[i]);
    }
    assert_eq!(tokens.len(), recorded.tokens.len());
}

#[test]
fn meteor_scores_as_the_jar() {
    let mut meteor = match Meteor::open(None) {
        Ok(meteor) => meteor,
        Err(error @ MeteorError::Missing { .. }) => return eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    };
    let recorded = recorded();
    let mut total = Statistics::default();
    for ((reference, output), expected) in recorded.pairs.iter().zip(&recorded.meteor) {
        let statistics = meteor.segment(&[reference.as_str()], output);
        let score = statistics.score();
        assert!(
            (score - expected).abs() < 1e-12,
            "{output:?}: {score}, the jar {expected}"
        );
        total += &statistics;
    }
    assert!((total.score() - recorded.meteor_total).abs() < 1e-12);
}
