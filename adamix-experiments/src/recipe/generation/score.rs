//! The scores of generated texts, as the released evaluation takes them.

use std::collections::BTreeMap;

use adamix_data::metrics::nlg::{Kind, Options, mteval};
use adamix_data::nlg::{Corpus, Group, Part};
use anyhow::{Result, ensure};

use super::Text;
use crate::config::Generation;
use crate::run::{Metrics, Tested};

/// What scores a data set's texts.
fn scorer(corpus: Corpus, references: usize) -> (Kind, Options, String) {
    let limit = match references {
        0 => "all references".to_owned(),
        n => format!("{n} references"),
    };
    match corpus {
        Corpus::E2e => {
            let options = Options {
                mteval: mteval::Variant::Python,
                ..Options::default()
            };
            (Kind::E2e, options, "e2e-metrics -p".to_owned())
        }
        Corpus::Webnlg | Corpus::Dart => {
            let options = Options {
                lower_and_split: true,
                phantom_segment: true,
                max_references: Some(references).filter(|n| *n > 0),
                ..Options::default()
            };
            let kind = match corpus {
                Corpus::Dart => Kind::Dart,
                _ => Kind::Webnlg,
            };
            let name = format!(
                "GenerationEval, lower-cased and split, {limit}, TER with the empty last segment"
            );
            (kind, options, name)
        }
    }
}

/// Scores texts, one for each input: WebNLG in all and by whether training saw the category.
///
/// # Errors
/// If no input has a reference.
pub fn score(
    corpus: Corpus,
    inputs: &[Group],
    texts: &[Text],
    settings: &Generation,
) -> Result<Tested> {
    let parts: &[(&str, Part)] = match corpus {
        Corpus::Webnlg => &[
            ("all", Part::All),
            ("seen", Part::Seen),
            ("unseen", Part::Unseen),
        ],
        Corpus::E2e | Corpus::Dart => &[("all", Part::All)],
    };
    let (kind, options, scorer) = scorer(corpus, settings.references);
    let mut tested = Tested {
        scorer,
        inputs: BTreeMap::new(),
        scores: BTreeMap::new(),
        bleu: Vec::new(),
        notes: Vec::new(),
    };
    for (name, part) in parts {
        let held = inputs
            .iter()
            .zip(texts)
            .filter(|(input, _)| part.holds(input.seen) && !input.references.is_empty());
        let (references, outputs): (Vec<Vec<String>>, Vec<String>) = held
            .map(|(input, text)| (input.references.clone(), text.text.clone()))
            .unzip();
        if outputs.is_empty() {
            ensure!(
                *part != Part::All,
                "no input of {}'s test split has a reference",
                corpus.name()
            );
            continue;
        }
        let scores = adamix_data::metrics::nlg::score(kind, &references, &outputs, &options)?;
        let metrics: Metrics = scores
            .scores
            .iter()
            .map(|score| (score.name.clone(), score.value))
            .collect();
        if *part == Part::All {
            let bleu = scores.scores.iter().find(|score| score.name == "BLEU");
            let counts = bleu.and_then(|score| score.statistics.as_ref()?.bleu());
            tested.bleu = (counts.iter().flatten())
                .map(|segment| segment.compact())
                .collect();
        }
        tested.inputs.insert((*name).to_owned(), outputs.len());
        tested.scores.insert((*name).to_owned(), metrics);
        tested.notes = scores.notes;
    }
    Ok(tested)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_scored_as_the_released_evaluation_does() {
        let (kind, options, _) = scorer(Corpus::E2e, 0);
        assert_eq!(kind, Kind::E2e);
        assert_eq!(options.mteval, mteval::Variant::Python);
        for (corpus, expected) in [(Corpus::Webnlg, Kind::Webnlg), (Corpus::Dart, Kind::Dart)] {
            let (kind, options, _) = scorer(corpus, 6);
            assert_eq!(kind, expected);
            assert!(options.lower_and_split && options.phantom_segment);
            assert_eq!(options.max_references, Some(6));
            assert_eq!(scorer(corpus, 0).1.max_references, None);
        }
    }
}
