//! Words and n-grams as small integers, for counting without strings.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A fast hash for integer keys that are never chosen by an adversary.
#[derive(Default)]
pub(crate) struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
}

/// A map with integer keys.
pub(crate) type IntMap<K, V> = HashMap<K, V, BuildHasherDefault<Multiply>>;

/// The empty n-gram, parent of every single word.
pub(crate) const EMPTY: u32 = 0;

/// Gives every n-gram met so far a number, and knows the n-gram without its last word.
pub(crate) struct Ngrams {
    words: HashMap<String, u32>,
    ids: IntMap<u64, u32>,
    parents: Vec<u32>,
}

impl Ngrams {
    /// Nothing met yet.
    pub(crate) fn new() -> Self {
        Self {
            words: HashMap::new(),
            ids: IntMap::default(),
            parents: vec![EMPTY],
        }
    }

    /// One more than the greatest number given.
    pub(crate) fn len(&self) -> usize {
        self.parents.len()
    }

    /// The n-gram without its last word; [`EMPTY`] for a single word.
    pub(crate) fn parent(&self, ngram: u32) -> u32 {
        self.parents[ngram as usize]
    }

    /// The number of a single word, if it was met.
    pub(crate) fn word(&self, word: &str) -> Option<u32> {
        let word = *self.words.get(word)?;
        self.ids.get(&u64::from(word)).copied()
    }

    /// All n-grams of a sentence: element `n - 1` holds those of `n` words, in order.
    pub(crate) fn sentence<'a>(
        &mut self,
        tokens: impl Iterator<Item = &'a str>,
        orders: usize,
    ) -> Vec<Vec<u32>> {
        let words: Vec<u32> = tokens.map(|token| self.word_number(token)).collect();
        self.of(&words, orders)
    }

    /// All n-grams of a sequence of any integers, as [`Ngrams::sentence`].
    pub(crate) fn of(&mut self, items: &[u32], orders: usize) -> Vec<Vec<u32>> {
        let mut levels: Vec<Vec<u32>> = Vec::with_capacity(orders);
        for n in 0..orders {
            let count = items.len().saturating_sub(n);
            let mut level = Vec::with_capacity(count);
            for i in 0..count {
                let parent = if n == 0 { EMPTY } else { levels[n - 1][i] };
                level.push(self.child(parent, items[i + n]));
            }
            levels.push(level);
        }
        levels
    }

    fn word_number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.words.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.words.insert(word.to_owned(), number);
        number
    }

    fn child(&mut self, parent: u32, item: u32) -> u32 {
        let next = self.parents.len() as u32;
        let key = u64::from(parent) << 32 | u64::from(item);
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            self.parents.push(parent);
        }
        id
    }
}

/// Counts by n-gram number that are cheap to clear.
#[derive(Default)]
pub(crate) struct Tally {
    counts: Vec<u32>,
    touched: Vec<u32>,
}

impl Tally {
    /// Room for numbers below `len`.
    pub(crate) fn reserve(&mut self, len: usize) {
        if self.counts.len() < len {
            self.counts.resize(len, 0);
        }
    }

    /// The count of one n-gram.
    pub(crate) fn get(&self, ngram: u32) -> u32 {
        self.counts[ngram as usize]
    }

    /// Counts one more and returns the new count.
    pub(crate) fn add(&mut self, ngram: u32) -> u32 {
        let count = self.get(ngram) + 1;
        self.set(ngram, count);
        count
    }

    /// Sets a count.
    pub(crate) fn set(&mut self, ngram: u32, count: u32) {
        let slot = &mut self.counts[ngram as usize];
        if *slot == 0 {
            self.touched.push(ngram);
        }
        *slot = count;
    }

    /// Back to zero everywhere.
    pub(crate) fn clear(&mut self) {
        for ngram in self.touched.drain(..) {
            self.counts[ngram as usize] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ngrams_have_equal_numbers_and_the_right_parents() {
        let mut ngrams = Ngrams::new();
        let a = ngrams.sentence("a b a b c".split(' '), 3);
        assert_eq!([a[0].len(), a[1].len(), a[2].len()], [5, 4, 3]);
        assert_eq!((a[0][0], a[1][0]), (a[0][2], a[1][2]));
        assert_ne!(a[2][0], a[2][2]);
        assert_eq!(ngrams.parent(a[2][1]), a[1][1]);
        assert_eq!(ngrams.parent(a[0][4]), EMPTY);
        assert_eq!(ngrams.word("c"), Some(a[0][4]));
        assert_eq!(ngrams.word("d"), None);
        assert_eq!(ngrams.sentence("a".split(' '), 3)[1], [0u32; 0]);
    }
}
