//! DART 1.1.1: triples with annotated texts, from several sources.

use serde::Deserialize;

use super::triple::{Triple, linearise};
use super::{Pair, json};
use crate::error::DataError;
use crate::source::TextFile;
use crate::split::Split;

#[derive(Deserialize)]
struct Entry {
    #[serde(deserialize_with = "json::triples")]
    tripleset: Vec<Triple>,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    /// Null where the published test file holds an empty annotation; it must be there all the same. Empty ones are no
    /// pairs.
    #[serde(deserialize_with = "Option::deserialize")]
    text: Option<String>,
}

/// `dart-v1.1.1-full-dev.json` and the like, or `dev.json`.
pub(super) fn find(names: &[String], split: Split) -> (Vec<String>, String) {
    let plain = format!("{split}.json");
    let part = format!("-{split}.");
    let belongs = |name: &&String| {
        **name == plain
            || (name.starts_with("dart-") && name.contains(&part) && name.ends_with(".json"))
    };
    let found = names.iter().find(belongs).cloned();
    let looked = format!("dart-*-{split}.json, {plain}");
    (found.into_iter().collect(), looked)
}

/// Pairs of one file, entry by entry.
pub(super) fn parse(file: &TextFile) -> Result<Vec<Vec<Pair>>, DataError> {
    let expected = "a list of objects with `tripleset` ([subject, relation, object], ...) and `annotations` ({text})";
    let entries: Vec<Entry> = json::parse(file, expected)?;
    Ok(entries.into_iter().map(Entry::pairs).collect())
}

impl Entry {
    /// Every annotation with a text is a pair; relations are lower-cased, as in the released code.
    fn pairs(mut self) -> Vec<Pair> {
        for triple in &mut self.tripleset {
            triple[1] = triple[1].to_lowercase();
        }
        let context = linearise(&self.tripleset);
        let texts: Vec<Option<String>> = match self.annotations.is_empty() {
            true => vec![None],
            false => self
                .annotations
                .into_iter()
                .map(|annotation| annotation.text)
                .filter(|text| text.as_ref().is_some_and(|text| !text.trim().is_empty()))
                .collect(),
        };
        let pair = |text| Pair {
            id: 0,
            context: context.clone(),
            text,
            seen: None,
        };
        texts.into_iter().map(pair).collect()
    }
}
