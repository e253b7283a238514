//! Translation edit rate: insertions, deletions, substitutions and shifts of phrases, per reference word.
//!
//! Two programs are in use and disagree on shifts: Tercom (here as sacreBLEU reimplements it) and the
//! `pyter` package, which GenerationEval runs for WebNLG and DART.

pub mod pyter;
pub mod tercom;

use std::collections::BTreeSet;

/// Words as numbers in their alphabetical order, so that sentences compare as their texts do.
fn numbers<'a>(sentences: &[&[&'a str]]) -> Vec<Vec<u32>> {
    let words: BTreeSet<&'a str> = sentences.iter().flat_map(|s| s.iter().copied()).collect();
    let words: Vec<&str> = words.into_iter().collect();
    let number = |word: &&str| words.binary_search(word).map_or(0, |i| i as u32);
    sentences
        .iter()
        .map(|sentence| sentence.iter().map(number).collect())
        .collect()
}
