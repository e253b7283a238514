//! What METEOR knows of every word: its stem, its synonym sets, its place in the paraphrase table.

use super::index::Index;
use super::stem::stem;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A word's properties, computed once.
pub(super) struct Word {
    /// Java's hash of the word, by which METEOR tells words apart.
    pub(super) hash: i32,
    /// Java's hash of its stem.
    pub(super) stem: i32,
    /// Its synonym sets, rising.
    pub(super) synsets: Vec<u32>,
    /// Its number in the paraphrase table and the length of the longest phrase that starts with it.
    pub(super) paraphrase: Option<(u32, usize)>,
    /// Whether it is a function word.
    pub(super) function: bool,
}

/// All words met so far.
pub(super) struct Words {
    numbers: HashMap<String, u32>,
    words: Vec<Word>,
    function: HashSet<String>,
}

impl Words {
    /// None yet.
    pub(super) fn new(index: &Index) -> Self {
        Self {
            numbers: HashMap::new(),
            words: Vec::new(),
            function: index.function_words().lines().map(str::to_owned).collect(),
        }
    }

    /// The number of a word.
    pub(super) fn number(&mut self, word: &str, index: &Index) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.words.push(Word {
            hash: java_hash(word),
            stem: java_hash(&stem(word)),
            synsets: synsets(word, index),
            paraphrase: index.paraphrase_word(word),
            function: self.function.contains(&word.to_lowercase()),
        });
        self.numbers.insert(word.to_owned(), number);
        number
    }

    /// A word's properties.
    pub(super) fn get(&self, number: u32) -> &Word {
        &self.words[number as usize]
    }
}

/// `String.hashCode` of Java.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// The synonym sets of a word in this form and in its base form.
fn synsets(word: &str, index: &Index) -> Vec<u32> {
    let mut sets: BTreeSet<u32> = index.synsets(word).into_iter().flatten().collect();
    let base = match index.irregular(word) {
        Some(sets) => sets,
        None => base(word, index)
            .and_then(|base| index.synsets(&base))
            .unwrap_or_default(),
    };
    sets.extend(base);
    sets.into_iter().collect()
}

/// WordNet's regular endings of nouns, verbs and adjectives, and what they stand for.
const ENDINGS: [(&str, &str); 20] = [
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
    ("s", ""),
    ("ies", "y"),
    ("es", "e"),
    ("es", ""),
    ("ed", "e"),
    ("ed", ""),
    ("ing", "e"),
    ("ing", ""),
    ("er", ""),
    ("est", ""),
    ("er", "e"),
    ("est", "e"),
];

/// The first base form that WordNet lists.
fn base(word: &str, index: &Index) -> Option<String> {
    if word.ends_with("ss") || word.encode_utf16().count() <= 2 {
        return Some(word.to_owned());
    }
    ENDINGS.iter().find_map(|(ending, with)| {
        let base = format!("{}{with}", word.strip_suffix(ending)?);
        index.synsets(&base).is_some().then_some(base)
    })
}

/// Whether two rising lists share a number.
pub(super) fn share(a: &[u32], b: &[u32]) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("restaurant"), -1_772_467_395);
        assert_eq!(java_hash("Aa"), java_hash("BB"));
    }

    #[test]
    fn rising_lists_are_compared() {
        assert!(share(&[1, 5, 9], &[2, 9]));
        assert!(!share(&[1, 5], &[2, 6, 7]));
        assert!(!share(&[], &[1]));
    }
}
