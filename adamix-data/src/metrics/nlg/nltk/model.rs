//! NLTK's trained Punkt model for English, as its `punkt_tab` package holds it.

use super::super::{archive, data_folder};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the files stand inside of NLTK's data and of wheels that carry it.
const INSIDE: &str = "punkt_tab/english";

/// Why Punkt's model cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is nowhere to be found.
    #[error(
        "NLTK's sentence model is not in {}. Get it with\n    \
         pip download --no-deps --dest {} llama-index-core\n\
         (a package that carries it), or point ADAMIX_PUNKT at NLTK's own punkt_tab folder",
        folder.display(), folder.display()
    )]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A file could not be read.
    #[error("NLTK's sentence model, {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("NLTK's sentence model, {}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// What training left behind: everything by the lower-case type of a word.
pub(super) struct Model {
    /// Abbreviations, without their last full stop.
    pub(super) abbreviations: HashSet<String>,
    /// Pairs that belong together across a full stop.
    pub(super) collocations: HashSet<(String, String)>,
    /// Words that often start a sentence.
    pub(super) starters: HashSet<String>,
    /// In which places of a sentence, and in which case, a word was seen: NLTK's flags.
    pub(super) contexts: HashMap<String, u8>,
}

impl Model {
    /// Reads the model from NLTK's data (the folder of one language, or one above it), or from a wheel
    /// that carries it; from `ADAMIX_PUNKT` or the user's cache folder if no place is given.
    pub(super) fn open(place: Option<&Path>) -> Result<Self, ModelError> {
        let folder = place.map_or_else(|| data_folder::of("ADAMIX_PUNKT", "punkt"), Path::to_owned);
        let has_files = |at: &PathBuf| at.join("ortho_context.tab").is_file();
        let nested = ["", INSIDE, "english", "tokenizers/punkt_tab/english"];
        if let Some(found) = nested
            .map(|inside| folder.join(inside))
            .iter()
            .find(|at| has_files(at))
        {
            return Self::parse(|name| {
                let path = found.join(name);
                let text = fs::read_to_string(&path);
                let text = text.map_err(|source| ModelError::File {
                    path: path.clone(),
                    source,
                })?;
                Ok((path, text))
            });
        }
        let Some(wheel) = data_folder::wheel(&folder, "llama_index_core") else {
            return Err(ModelError::Missing { folder });
        };
        let bytes = fs::read(&wheel).map_err(|source| ModelError::File {
            path: wheel.clone(),
            source,
        })?;
        Self::parse(|name| {
            let inside = format!("{INSIDE}/{name}");
            let text =
                archive::member(&bytes, &inside).and_then(|text| String::from_utf8(text).ok());
            let path = wheel.join(&inside);
            text.map(|text| (path.clone(), text))
                .ok_or_else(|| ModelError::Format {
                    path,
                    problem: "no such readable file in the wheel".to_owned(),
                })
        })
    }

    fn parse(
        read: impl Fn(&str) -> Result<(PathBuf, String), ModelError>,
    ) -> Result<Self, ModelError> {
        let lines = |name| {
            let (_, text) = read(name)?;
            Ok(text.lines().map(str::to_owned).collect::<HashSet<_>>())
        };
        let pairs = |name| {
            let (path, text) = read(name)?;
            let pairs = text.lines().enumerate().map(|(i, line)| {
                let pair = line.split_once('\t').ok_or_else(|| ModelError::Format {
                    path: path.clone(),
                    problem: format!("line {} is no pair with a tab between", i + 1),
                });
                pair.map(|(first, second)| (first.to_owned(), second.to_owned()))
            });
            let pairs: Result<Vec<(String, String)>, ModelError> = pairs.collect();
            Ok((path, pairs?))
        };
        let (path, contexts) = pairs("ortho_context.tab")?;
        let contexts = contexts.into_iter().enumerate().map(|(i, (word, flags))| {
            let flags = flags.parse().map_err(|_| ModelError::Format {
                path: path.clone(),
                problem: format!("line {}: {flags:?} is no number of flags", i + 1),
            });
            Ok((word, flags?))
        });
        Ok(Self {
            abbreviations: lines("abbrev_types.txt")?,
            collocations: pairs("collocations.tab")?.1.into_iter().collect(),
            starters: lines("sent_starters.txt")?,
            contexts: contexts.collect::<Result<_, ModelError>>()?,
        })
    }
}
