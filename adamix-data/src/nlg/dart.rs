//! DART 1.1.1: triples with annotated texts, from several sources.

use std::path::Path;

use serde::Deserialize;

use super::triple::{Triple, linearise};
use super::{Pair, json};
use crate::error::DataError;
use crate::split::Split;

#[derive(Deserialize)]
struct Entry {
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

/// Every annotation with a text is a pair; relations are lower-cased, as in the released code.
pub(super) fn read(path: &Path) -> Result<Vec<Pair>, DataError> {
    let expected = "a list of objects with `tripleset` ([subject, relation, object], ...) and `annotations` ({text})";
    let entries: Vec<Entry> = json::read(path, expected)?;
    let mut pairs = Vec::new();
    for mut entry in entries {
        for triple in &mut entry.tripleset {
            triple[1] = triple[1].to_lowercase();
        }
        let context = linearise(&entry.tripleset);
        let texts: Vec<Option<String>> = match entry.annotations.is_empty() {
            true => vec![None],
            false => entry
                .annotations
                .into_iter()
                .map(|annotation| annotation.text)
                .filter(|text| text.as_ref().is_some_and(|text| !text.trim().is_empty()))
                .collect(),
        };
        pairs.extend(texts.into_iter().map(|text| Pair {
            id: 0,
            context: context.clone(),
            text,
            seen: None,
        }));
    }
    Ok(pairs)
}
