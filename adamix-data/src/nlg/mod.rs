//! Text from structured data: E2E, WebNLG and DART, from the layouts people have.
//!
//! [`Corpus::load`] finds the files of a split and gives [`Pairs`]: an input, linearised to one line as the
//! released code does it, with one of the texts that people wrote for it. [`group`] gathers the references of
//! an input. [`encode()`] turns pairs into token ids, [`collate`] into a [`Batch`] whose loss counts on the
//! texts only.

mod dart;
pub mod e2e;
mod encode;
mod json;
mod triple;
mod webnlg;

pub use encode::{Batch, Completion, collate, encode, prompts, text_of};

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::source::{TextFile, combine, io};
use crate::split::Split;

/// An input with one of the texts that people wrote for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The 0-based place among the pairs of its file. It names the pair in traces and random keys.
    pub id: u32,
    /// The input on one line, such as `name : Blue Spice | Type : coffee shop`.
    pub context: String,
    /// The text; absent in test files that are handed out without references.
    pub text: Option<String>,
    /// Whether training saw inputs of this category; known for WebNLG only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<bool>,
}

/// The pairs of one split, with what they were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// In file order.
    pub pairs: Vec<Pair>,
    /// Content hash of `files` (see [`crate::fingerprint`]).
    pub hash: String,
    /// The files the pairs came from.
    pub files: Vec<PathBuf>,
}

/// An input with all its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The input on one line.
    pub context: String,
    /// The texts that people wrote for it, in file order.
    pub references: Vec<String>,
    /// Whether training saw inputs of this category; known for WebNLG only.
    pub seen: Option<bool>,
}

/// The distinct inputs in the order of their first appearance, as the released evaluation groups them.
pub fn group(pairs: &[Pair]) -> Vec<Group> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for pair in pairs {
        let place = *places.entry(&pair.context).or_insert_with(|| {
            groups.push(Group {
                context: pair.context.clone(),
                references: Vec::new(),
                seen: pair.seen,
            });
            groups.len() - 1
        });
        groups[place].references.extend(pair.text.clone());
    }
    groups
}

/// Which inputs of a test set are meant: WebNLG's categories that training saw, the others, or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Every input.
    #[default]
    All,
    /// Categories of the training set.
    Seen,
    /// Categories that are in the test set only.
    Unseen,
}

impl Part {
    /// Whether an input belongs to the part. One whose category is not known belongs to all only.
    pub fn holds(self, seen: Option<bool>) -> bool {
        match self {
            Self::All => true,
            Self::Seen => seen == Some(true),
            Self::Unseen => seen == Some(false),
        }
    }
}

/// The data sets of the paper's generation experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Corpus {
    /// Restaurant descriptions from meaning representations.
    E2e,
    /// Texts from DBpedia triples, the challenge of 2017.
    Webnlg,
    /// Texts from triples of several sources.
    Dart,
}

impl Corpus {
    const ALL: [Self; 3] = [Self::E2e, Self::Webnlg, Self::Dart];

    /// The name used in configuration and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::E2e => "e2e",
            Self::Webnlg => "webnlg",
            Self::Dart => "dart",
        }
    }

    /// The data set of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|corpus| corpus.name() == name)
    }

    /// Reads the files of a split in a folder, whichever of the known layouts they have.
    ///
    /// # Errors
    /// [`DataError::MissingSplit`] if no file of the split is there; otherwise what is wrong with a file, by line.
    pub fn load(self, folder: &Path, split: Split) -> Result<Pairs, DataError> {
        let names = names_of(folder)?;
        let (files, looked) = match self {
            Self::E2e => e2e::find(&names, split),
            Self::Webnlg => webnlg::find(folder, &names, split)?,
            Self::Dart => dart::find(&names, split),
        };
        if files.is_empty() {
            return Err(DataError::MissingSplit {
                folder: folder.into(),
                task: self.name().into(),
                split: split.to_string(),
                looked,
            });
        }
        let paths: Vec<PathBuf> = files.iter().map(|name| folder.join(name)).collect();
        self.read(&paths)
    }

    /// Reads files of any known layout of the data set, as one split.
    ///
    /// # Errors
    /// What is wrong with a file, by line; [`DataError::Empty`] for one without any pair.
    pub fn read(self, files: &[PathBuf]) -> Result<Pairs, DataError> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut hashes = Vec::new();
        for path in files {
            let file = TextFile::read_document(path)?;
            pairs.extend(self.parse(&file)?.into_iter().flatten());
            hashes.push(file.hash);
        }
        for (id, pair) in pairs.iter_mut().enumerate() {
            pair.id = id as u32;
        }
        Ok(Pairs {
            pairs,
            hash: combine(&hashes),
            files: files.to_vec(),
        })
    }

    /// The pairs of a file in memory, entry by entry. E2E's layouts are rows without entries: all are in one.
    pub(crate) fn parse(self, file: &TextFile) -> Result<Vec<Vec<Pair>>, DataError> {
        let entries = match self {
            Self::E2e => vec![e2e::parse(file)?],
            Self::Webnlg => webnlg::parse(file)?,
            Self::Dart => dart::parse(file)?,
        };
        if entries.iter().all(Vec::is_empty) {
            return Err(DataError::Empty {
                path: file.path.clone(),
            });
        }
        Ok(entries)
    }
}

/// The names in a folder, sorted.
fn names_of(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| io(folder, source))? {
        let name = entry.map_err(|source| io(folder, source))?.file_name();
        names.extend(name.into_string());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(context: &str, text: Option<&str>) -> Pair {
        Pair {
            id: 0,
            context: context.into(),
            text: text.map(Into::into),
            seen: None,
        }
    }

    #[test]
    fn inputs_keep_the_order_of_their_first_appearance() {
        let pairs = [pair("b", Some("1")), pair("a", None), pair("b", Some("2"))];
        let groups = group(&pairs);
        let found: Vec<_> = groups
            .iter()
            .map(|g| (g.context.as_str(), g.references.len()))
            .collect();
        assert_eq!(found, [("b", 2), ("a", 0)]);
    }

    #[test]
    fn an_unknown_category_is_in_no_half() {
        let held = |part: Part| [Some(true), Some(false), None].map(|seen| part.holds(seen));
        assert_eq!(held(Part::All), [true; 3]);
        assert_eq!(held(Part::Seen), [true, false, false]);
        assert_eq!(held(Part::Unseen), [false, true, false]);
    }
}
