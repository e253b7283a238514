//! METEOR 1.5 for English with the ranking parameters, as the jar computes it with `-l en -norm`.
//!
//! Outputs and references are normalised and aligned by exact, stem, synonym and paraphrase matches; the
//! best reference of each segment counts. The official data is read once and kept as a compact index.

mod align;
mod compile;
mod error;
mod hash;
mod index;
mod normalize;
mod source;
mod statistics;
mod stem;
mod words;

pub use error::MeteorError;
pub use statistics::{Side, Statistics};

use super::data_folder;
use adamix_keys::Key;
use align::{Match, Matches};
use compile::LONGEST;
use index::Index;
use normalize::Prefix;
use source::Source;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use words::Words;

/// The name of the index file.
const INDEX_NAME: &str = "meteor-1.5-en.index";

/// A METEOR scorer.
pub struct Meteor {
    index: Index,
    prefixes: HashMap<String, Prefix>,
    words: Words,
}

/// A sentence ready to be aligned.
struct Sentence {
    words: Vec<u32>,
    /// Paraphrases of the phrases that start at each word: length of the phrase, place in the index.
    phrases: Vec<Vec<(u32, usize)>>,
}

/// The folder in which data and index are looked for when none is given: `ADAMIX_METEOR`, else
/// `adamix/meteor` in the user's cache folder.
fn default_folder() -> PathBuf {
    data_folder::of("ADAMIX_METEOR", "meteor")
}

/// What the index of a place is called in the cache folder: data given by hand has one of its own.
fn cached_name(place: Option<&Path>) -> String {
    let Some(place) = place else {
        return INDEX_NAME.to_owned();
    };
    let whole = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let length = place.metadata().map_or(0, |data| data.len());
    let key = Key::new(length).purpose(&whole.to_string_lossy());
    format!("{:016x}-{INDEX_NAME}", key.word())
}

impl Meteor {
    /// Opens the scorer with the data in `place` (a folder, a pycocoevalcap wheel or an index file), or in
    /// `ADAMIX_METEOR` or `adamix/meteor` of the user's cache folder.
    ///
    /// The first time, the official data is compiled to an index, which takes some seconds; it is kept
    /// beside the data, or in the cache folder if that cannot be written.
    pub fn open(place: Option<&Path>) -> Result<Self, MeteorError> {
        let folder = place.map_or_else(default_folder, Path::to_owned);
        if place.is_some() && !folder.exists() {
            return Err(MeteorError::Missing { folder });
        }
        if folder.extension().is_some_and(|e| e == "index") {
            let index = Index::open(&folder)?;
            let broken = || MeteorError::format(&folder, "it is no METEOR index");
            return index.map(Self::with_index).ok_or_else(broken);
        }
        let mut candidates = vec![data_folder::cache().join(cached_name(place))];
        if folder.is_dir() {
            candidates.insert(0, folder.join(INDEX_NAME));
        }
        for path in &candidates {
            if path.is_file()
                && let Some(index) = Index::open(path)?
            {
                return Ok(Self::with_index(index));
            }
        }
        let Some(source) = Source::open(&folder)? else {
            return Err(MeteorError::Missing { folder });
        };
        let index = Index::build(&source)?;
        // An index that cannot be kept is still good for this time.
        let _kept = candidates.iter().any(|path| index.save(path).is_ok());
        Ok(Self::with_index(index))
    }

    fn with_index(index: Index) -> Self {
        Self {
            prefixes: normalize::prefixes(index.prefixes()),
            words: Words::new(&index),
            index,
        }
    }

    /// Statistics of an output against the reference that gives it the highest score.
    pub fn segment(&mut self, references: &[&str], output: &str) -> Statistics {
        let output = self.sentence(output);
        let mut best: Option<(f64, Statistics)> = None;
        for reference in references {
            let reference = self.sentence(reference);
            let statistics = self.compare(&output, &reference);
            let score = statistics.score();
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, statistics));
            }
        }
        best.map(|(_, statistics)| statistics).unwrap_or_default()
    }

    fn sentence(&mut self, text: &str) -> Sentence {
        let text = normalize::normalize(text, &self.prefixes);
        let words: Vec<u32> = normalize::java_words(&text)
            .map(|word| self.words.number(word, &self.index))
            .collect();
        let phrases = (0..words.len())
            .map(|start| self.phrases_at(&words[start..]))
            .collect();
        Sentence { words, phrases }
    }

    /// The phrases of the paraphrase table at the start of a sequence, shorter ones first.
    fn phrases_at(&self, words: &[u32]) -> Vec<(u32, usize)> {
        let mut numbers = [0; LONGEST];
        let mut found = Vec::new();
        let mut limit = LONGEST;
        for (i, &word) in words.iter().enumerate() {
            let Some((number, longest)) = self.words.get(word).paraphrase else {
                break;
            };
            if i == 0 {
                limit = longest.min(LONGEST);
            }
            if i >= limit {
                break;
            }
            numbers[i] = number;
            if let Some(place) = self.index.phrase(&numbers[..=i]) {
                found.push((i as u32 + 1, place));
            }
        }
        found
    }

    fn compare(&self, output: &Sentence, reference: &Sentence) -> Statistics {
        let mut matches = Matches::new(output.words.len(), reference.words.len());
        self.match_words(output, reference, 0, &mut matches);
        let hashes = |sentence: &Sentence| -> Vec<i32> {
            let hash = |&word: &u32| self.words.get(word).hash;
            sentence.words.iter().map(hash).collect()
        };
        // Equal sentences need exact matches only.
        if hashes(output) != hashes(reference) {
            self.match_words(output, reference, 1, &mut matches);
            self.match_words(output, reference, 2, &mut matches);
            self.match_phrases(output, reference, &mut matches);
        }
        let alignment = matches.resolve();
        let mut statistics = Statistics {
            output: self.side(output),
            reference: self.side(reference),
            chunks: f64::from(align::chunks(&alignment)),
        };
        for found in &alignment {
            let stage = found.stage as usize;
            let range = |start, length| start as usize..(start + length) as usize;
            let words = &output.words[range(found.output, found.output_length)];
            self.count(&mut statistics.output, words, stage);
            let words = &reference.words[range(found.reference, found.reference_length)];
            self.count(&mut statistics.reference, words, stage);
        }
        statistics
    }

    /// Matches of single words: equal (stage 0), of equal stem (1), or with a common synonym set (2).
    fn match_words(&self, output: &Sentence, reference: &Sentence, stage: u32, to: &mut Matches) {
        for (j, &word) in reference.words.iter().enumerate() {
            let b = self.words.get(word);
            for (i, &word) in output.words.iter().enumerate() {
                let a = self.words.get(word);
                let same = a.hash == b.hash;
                let matched = match stage {
                    0 => same,
                    1 => !same && a.stem == b.stem,
                    _ => !same && words::share(&a.synsets, &b.synsets),
                };
                if matched {
                    to.add(Match {
                        reference: j as u32,
                        reference_length: 1,
                        output: i as u32,
                        output_length: 1,
                        stage,
                    });
                }
            }
        }
    }

    /// Matches of phrases: the reference's paraphrases in the output, then the other way round.
    fn match_phrases(&self, output: &Sentence, reference: &Sentence, to: &mut Matches) {
        self.each_phrase_match(reference, output, |start, length, other, other_length| {
            to.add(Match {
                reference: start,
                reference_length: length,
                output: other,
                output_length: other_length,
                stage: 3,
            });
        });
        self.each_phrase_match(output, reference, |start, length, other, other_length| {
            to.add(Match {
                reference: other,
                reference_length: other_length,
                output: start,
                output_length: length,
                stage: 3,
            });
        });
    }

    fn each_phrase_match(
        &self,
        from: &Sentence,
        within: &Sentence,
        mut each: impl FnMut(u32, u32, u32, u32),
    ) {
        let target: Vec<Option<u32>> = within
            .words
            .iter()
            .map(|&word| self.words.get(word).paraphrase.map(|(number, _)| number))
            .collect();
        // One bit for every word there, so that most paraphrases are passed over at once.
        let present = target.iter().flatten().fold([0u64; 4], |mut bits, number| {
            bits[*number as usize / 64 % 4] |= 1 << (number % 64);
            bits
        });
        for (start, phrases) in from.phrases.iter().enumerate() {
            for &(length, place) in phrases {
                self.index.each_paraphrase(place, |paraphrase| {
                    let here = |window: &[Option<u32>]| {
                        window.iter().zip(paraphrase).all(|(a, b)| *a == Some(*b))
                    };
                    let absent =
                        |number: &u32| present[*number as usize / 64 % 4] >> (number % 64) & 1 == 0;
                    if paraphrase.is_empty() || paraphrase.iter().any(absent) {
                        return;
                    }
                    for (i, window) in target.windows(paraphrase.len()).enumerate() {
                        if here(window) {
                            each(start as u32, length, i as u32, paraphrase.len() as u32);
                        }
                    }
                });
            }
        }
    }

    fn side(&self, sentence: &Sentence) -> Side {
        let function = |word: &&u32| self.words.get(**word).function;
        Side {
            length: sentence.words.len() as f64,
            function_words: sentence.words.iter().filter(function).count() as f64,
            ..Side::default()
        }
    }

    fn count(&self, side: &mut Side, words: &[u32], stage: usize) {
        for &word in words {
            if self.words.get(word).function {
                side.function[stage] += 1.0;
            } else {
                side.content[stage] += 1.0;
            }
        }
    }
}
