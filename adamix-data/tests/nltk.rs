//! Sentences and words against NLTK 3.5, with a small model in NLTK's own files.

use adamix_data::metrics::nlg::nltk::{ModelError, Punkt, Tokenizer};
use adamix_data::metrics::nlg::{Kind, Options, score};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
struct Recorded {
    model: Model,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Model {
    abbreviations: Vec<String>,
    collocations: Vec<(String, String)>,
    starters: Vec<String>,
    contexts: BTreeMap<String, u8>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    sentences: Vec<String>,
    words: Vec<String>,
}

impl Model {
    fn write(&self, folder: &Path) {
        let pairs = |(first, second): (&String, String)| format!("{first}\t{second}\n");
        let collocations = self.collocations.iter().map(|(a, b)| pairs((a, b.clone())));
        let contexts = self
            .contexts
            .iter()
            .map(|(word, flags)| pairs((word, flags.to_string())));
        for (name, text) in [
            ("abbrev_types.txt", self.abbreviations.join("\n")),
            ("sent_starters.txt", self.starters.join("\n")),
            ("collocations.tab", collocations.collect()),
            ("ortho_context.tab", contexts.collect()),
        ] {
            fs::write(folder.join(name), text).expect("a file of the model");
        }
    }
}

/// What was recorded, and a folder with the model.
fn recorded() -> (Recorded, tempfile::TempDir) {
    let recorded = include_str!("fixtures/nltk_recorded.json");
    let recorded: Recorded = serde_json::from_str(recorded).expect("the fixture is valid");
    let folder = tempfile::tempdir().expect("a folder");
    let english = folder.path().join("punkt_tab/english");
    fs::create_dir_all(&english).expect("a folder");
    recorded.model.write(&english);
    (recorded, folder)
}

#[test]
fn sentences_and_words_are_nltks() {
    let (recorded, folder) = recorded();
    let open = || Punkt::open(Some(folder.path())).expect("the model");
    let (punkt, tokenizer) = (open(), Tokenizer::new(Some(open())));
    let mut several = 0;
    for Case {
        text,
        sentences,
        words,
    } in &recorded.cases
    {
        assert_eq!(&punkt.sentences(text), sentences, "{text:?}");
        assert_eq!(&tokenizer.words(text), words, "{text:?}");
        several += usize::from(sentences.len() > 1);
    }
    assert!(several > 100, "{several} texts of several sentences");
}

/// NLTK 3.5 ends a sentence at the full stop of both texts, so that their words are the same.
#[test]
fn a_mark_before_a_mark_asks_for_the_model() {
    let (_, folder) = recorded();
    let options = Options {
        punkt: Some(folder.path().to_owned()),
        meteor: Some(folder.path().join("nothing")),
        ..Options::default()
    };
    let references = [vec!["The club (founded 1903.), is big".to_owned()]];
    let outputs = ["The club (founded 1903 .), is big".to_owned()];
    let scores = score(Kind::Webnlg, &references, &outputs, &options).expect("texts are fine");
    assert_eq!(scores.get("TER"), Some(0.0));
}

#[test]
fn a_damaged_model_names_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = |folder: &Path| Punkt::open(Some(folder)).err().expect("an error");
    let missing = error(folder.path());
    assert!(matches!(missing, ModelError::Missing { .. }), "{missing}");
    for name in ["abbrev_types.txt", "sent_starters.txt", "collocations.tab"] {
        fs::write(folder.path().join(name), "").expect("a file");
    }
    for (text, expected) in [("the\t2\nhe 2\n", "line 2"), ("the\tx\n", "line 1: \"x\"")] {
        fs::write(folder.path().join("ortho_context.tab"), text).expect("a file");
        let error = error(folder.path()).to_string();
        assert!(
            error.contains("ortho_context.tab") && error.contains(expected),
            "{error}"
        );
    }
    fs::remove_file(folder.path().join("collocations.tab")).expect("removed");
    let error = error(folder.path()).to_string();
    assert!(error.contains("collocations.tab"), "{error}");
}
