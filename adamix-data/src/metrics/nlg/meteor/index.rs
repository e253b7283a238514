//! METEOR's data as one compact file that opens in milliseconds.
//!
//! The file is a header (magic, checksum, lengths of the sections) and six sections: function words,
//! abbreviations, synonym sets and paraphrase words as hashed tables, a hash table of phrases, and the
//! phrases with their paraphrases as variable-length word numbers, frequent words first.

use super::error::MeteorError;
use super::normalize::java_words;
use super::source::Source;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

const MAGIC: &[u8; 8] = b"ADXMET\x15\x01";
const SECTIONS: usize = 7;
const HEADER: usize = 16 + 8 * SECTIONS;

/// The most words of a phrase; the official table has up to seven.
pub(super) const LONGEST: usize = 7;

/// Which section holds what.
#[derive(Clone, Copy)]
enum Section {
    FunctionWords,
    Prefixes,
    Synsets,
    Exceptions,
    Vocabulary,
    PhraseSlots,
    Phrases,
}

/// An opened index.
pub(super) struct Index {
    bytes: Vec<u8>,
    sections: [Range<usize>; SECTIONS],
}

impl Index {
    /// Opens an index file; `None` if it was written by another version or is damaged.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, MeteorError> {
        let bytes = fs::read(path).map_err(MeteorError::file(path))?;
        Ok(Self::from_bytes(bytes))
    }

    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        if bytes.get(..8)? != MAGIC || u64_at(&bytes, 8)? != checksum(bytes.get(16..)?) {
            return None;
        }
        let mut sections = [const { 0..0 }; SECTIONS];
        let mut start = HEADER;
        for (i, section) in sections.iter_mut().enumerate() {
            let length = usize::try_from(u64_at(&bytes, 16 + 8 * i)?).ok()?;
            let end = start.checked_add(length)?;
            *section = start..end;
            start = end;
        }
        (start == bytes.len()).then_some(Self { bytes, sections })
    }

    /// Compiles the official data.
    pub(super) fn build(source: &Source) -> Result<Self, MeteorError> {
        let synsets = synsets(&source.synsets);
        let exceptions = exceptions(&source.exceptions, &synsets);
        let (vocabulary, slots, phrases) = paraphrases(source)?;
        let sections: [Vec<u8>; SECTIONS] = [
            source.function_words.clone().into_bytes(),
            source.prefixes.clone().into_bytes(),
            table(&synsets),
            table(&exceptions),
            vocabulary,
            slots,
            phrases,
        ];
        let mut body = Vec::new();
        for section in &sections {
            body.extend((section.len() as u64).to_le_bytes());
        }
        for section in &sections {
            body.extend_from_slice(section);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(checksum(&body).to_le_bytes());
        bytes.extend(body);
        Ok(Self::from_bytes(bytes).expect("just written"))
    }

    /// Writes the file next to its place and moves it there, so that no reader sees a part of it.
    pub(super) fn save(&self, path: &Path) -> Result<(), MeteorError> {
        let error = MeteorError::file(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(&error)?;
        }
        let part = path.with_extension(format!("part{}", std::process::id()));
        let write = || {
            let mut file = fs::File::create(&part)?;
            file.write_all(&self.bytes)?;
            file.sync_all()?;
            fs::rename(&part, path)
        };
        write().map_err(error)
    }

    fn section(&self, section: Section) -> &[u8] {
        &self.bytes[self.sections[section as usize].clone()]
    }

    fn text(&self, section: Section) -> &str {
        std::str::from_utf8(self.section(section)).unwrap_or_default()
    }

    /// Function words, one a line.
    pub(super) fn function_words(&self) -> &str {
        self.text(Section::FunctionWords)
    }

    /// Abbreviations that keep their full stop.
    pub(super) fn prefixes(&self) -> &str {
        self.text(Section::Prefixes)
    }

    /// The synonym sets of a word in this very form; `None` if WordNet does not list it.
    pub(super) fn synsets(&self, word: &str) -> Option<Vec<u32>> {
        find(self.section(Section::Synsets), word)
    }

    /// The synonym sets of the bases of an irregular form; `None` if the form is not irregular.
    pub(super) fn irregular(&self, form: &str) -> Option<Vec<u32>> {
        find(self.section(Section::Exceptions), form)
    }

    /// The number of a word of the paraphrase table, and the length of the longest phrase that starts
    /// with it.
    pub(super) fn paraphrase_word(&self, word: &str) -> Option<(u32, usize)> {
        match find(self.section(Section::Vocabulary), word)?.as_slice() {
            &[number, longest] => Some((number, longest as usize)),
            _ => None,
        }
    }

    /// Where the paraphrases of a phrase start, for [`Index::each_paraphrase`].
    pub(super) fn phrase(&self, words: &[u32]) -> Option<usize> {
        let slots = self.section(Section::PhraseSlots);
        let phrases = self.section(Section::Phrases);
        let count = slots.len() / 8;
        let hash = hash_numbers(words);
        let tag = (hash >> 32) as u32;
        for step in 0..count {
            let slot = u64_at(slots, ((hash as usize + step) & (count - 1)) * 8)?;
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == tag {
                let mut at = (slot as u32 - 1) as usize;
                if same_phrase(phrases, &mut at, words) {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Hands over the paraphrases of a phrase in the order of the official table.
    pub(super) fn each_paraphrase(&self, phrase: usize, mut each: impl FnMut(&[u32])) {
        let phrases = self.section(Section::Phrases);
        let mut at = phrase;
        let Some(count) = number(phrases, &mut at) else {
            return;
        };
        let mut words = [0; LONGEST];
        for _ in 0..count {
            let Some(length) = number(phrases, &mut at) else {
                return;
            };
            let length = (length as usize).min(LONGEST);
            for word in &mut words[..length] {
                *word = number(phrases, &mut at).unwrap_or_default();
            }
            each(&words[..length]);
        }
    }
}

fn same_phrase(phrases: &[u8], at: &mut usize, words: &[u32]) -> bool {
    number(phrases, at) == Some(words.len() as u32)
        && words.iter().all(|&word| number(phrases, at) == Some(word))
}

type Table = HashMap<String, Vec<u32>>;

/// Pairs of lines: a word, its numbers.
fn synsets(text: &str) -> Table {
    let mut table = Table::new();
    let mut lines = text.lines();
    while let (Some(word), Some(numbers)) = (lines.next(), lines.next()) {
        let set: BTreeSet<u32> = java_words(numbers)
            .filter_map(|number| number.parse().ok())
            .collect();
        table.insert(word.to_owned(), set.into_iter().collect());
    }
    table
}

/// For every irregular form, the synonym sets of all its bases.
fn exceptions(text: &str, synsets: &Table) -> Table {
    let mut sets: HashMap<String, BTreeSet<u32>> = HashMap::new();
    let mut lines = text.lines();
    while let (Some(base), Some(forms)) = (lines.next(), lines.next()) {
        let numbers = synsets.get(base).map_or(&[][..], Vec::as_slice);
        for form in java_words(forms) {
            sets.entry(form.to_owned()).or_default().extend(numbers);
        }
    }
    let list = |(form, set): (String, BTreeSet<u32>)| (form, set.into_iter().collect());
    sets.into_iter().map(list).collect()
}

/// The vocabulary, the hash table of phrases, and the phrases.
fn paraphrases(source: &Source) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>), MeteorError> {
    let mut words: HashMap<String, u32> = HashMap::new();
    let mut uses: Vec<u32> = Vec::new();
    let mut phrase_ids: HashMap<Vec<u32>, u32> = HashMap::new();
    // Of every entry, its phrase; and all paraphrases one after another, with where each ends.
    let mut entries: Vec<u32> = Vec::new();
    let mut stream: Vec<u32> = Vec::new();
    let mut ends: Vec<u32> = Vec::new();

    let mut intern = |text: &str, out: &mut Vec<u32>| {
        for word in java_words(text) {
            let id = match words.get(word) {
                Some(&id) => id,
                None => {
                    let id = words.len() as u32;
                    words.insert(word.to_owned(), id);
                    uses.push(0);
                    id
                }
            };
            uses[id as usize] += 1;
            out.push(id);
        }
    };
    let mut phrase = Vec::new();
    source.paraphrases(|text, paraphrase| {
        phrase.clear();
        intern(text, &mut phrase);
        let next = phrase_ids.len() as u32;
        let id = match phrase_ids.get(&phrase) {
            Some(&id) => id,
            None => {
                phrase_ids.insert(phrase.clone(), next);
                next
            }
        };
        entries.push(id);
        let start = stream.len();
        intern(paraphrase, &mut stream);
        ends.push(stream.len() as u32);
        if phrase.len() > LONGEST || stream.len() - start > LONGEST {
            return Err(MeteorError::format(
                Path::new("paraphrase-en.gz"),
                format!("a phrase of more than {LONGEST} words: {text:?}, {paraphrase:?}"),
            ));
        }
        Ok(())
    })?;

    // Number words by falling frequency, so that most take one byte.
    let mut order: Vec<u32> = (0..uses.len() as u32).collect();
    order.sort_by_key(|&id| (std::cmp::Reverse(uses[id as usize]), id));
    let mut rank = vec![0u32; uses.len()];
    for (new, &old) in order.iter().enumerate() {
        rank[old as usize] = new as u32;
    }

    // Entries by phrase, in their order.
    let mut by_phrase: Vec<Vec<u32>> = vec![Vec::new(); phrase_ids.len()];
    for (entry, &phrase) in entries.iter().enumerate() {
        by_phrase[phrase as usize].push(entry as u32);
    }
    let mut phrases: Vec<(Vec<u32>, u32)> = phrase_ids.into_iter().collect();
    phrases.sort_by_key(|(_, id)| *id);

    let slot_count = (phrases.len() * 2).next_power_of_two();
    let mut slots = vec![0u64; slot_count];
    let mut longest = vec![0u32; uses.len()];
    let mut out = Vec::new();
    for (phrase, id) in phrases {
        let phrase: Vec<u32> = phrase.iter().map(|&word| rank[word as usize]).collect();
        let Some(&first) = phrase.first() else {
            continue;
        };
        let longest = &mut longest[first as usize];
        *longest = (*longest).max(phrase.len() as u32);
        let hash = hash_numbers(&phrase);
        let mut slot = hash as usize & (slot_count - 1);
        while slots[slot] != 0 {
            slot = (slot + 1) & (slot_count - 1);
        }
        slots[slot] = (hash >> 32) << 32 | (out.len() as u64 + 1);
        push_phrase(&mut out, phrase.iter().copied());
        let entries = &by_phrase[id as usize];
        push_number(&mut out, entries.len() as u32);
        for &entry in entries {
            let entry = entry as usize;
            let start = if entry == 0 { 0 } else { ends[entry - 1] };
            let words = &stream[start as usize..ends[entry] as usize];
            push_phrase(&mut out, words.iter().map(|&word| rank[word as usize]));
        }
    }
    let vocabulary: Table = words
        .into_iter()
        .map(|(word, id)| {
            let number = rank[id as usize];
            (word, vec![number, longest[number as usize]])
        })
        .collect();
    let slots = slots.iter().flat_map(|slot| slot.to_le_bytes()).collect();
    Ok((table(&vocabulary), slots, out))
}

fn push_phrase(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = u32>) {
    push_number(out, words.len() as u32);
    for word in words {
        push_number(out, word);
    }
}

/// Slots with the offsets of the entries (open addressing), then the entries.
fn table(entries: &Table) -> Vec<u8> {
    let mut entries: Vec<(&String, &Vec<u32>)> = entries.iter().collect();
    entries.sort();
    let count = (entries.len() * 2).next_power_of_two();
    let mut slots = vec![0u32; count];
    let mut blob = Vec::new();
    for (word, numbers) in entries {
        let mut slot = hash_bytes(word.as_bytes()) as usize & (count - 1);
        while slots[slot] != 0 {
            slot = (slot + 1) & (count - 1);
        }
        slots[slot] = blob.len() as u32 + 1;
        push_number(&mut blob, word.len() as u32);
        blob.extend_from_slice(word.as_bytes());
        push_number(&mut blob, numbers.len() as u32);
        for &number in numbers {
            push_number(&mut blob, number);
        }
    }
    let mut out = (count as u32).to_le_bytes().to_vec();
    out.extend(slots.iter().flat_map(|slot| slot.to_le_bytes()));
    out.extend(blob);
    out
}

/// The stored numbers of a word.
fn find(section: &[u8], word: &str) -> Option<Vec<u32>> {
    let count = u32_at(section, 0)? as usize;
    let blob = section.get(4 + 4 * count..)?;
    let hash = hash_bytes(word.as_bytes()) as usize;
    for step in 0..count {
        let slot = u32_at(section, 4 + 4 * ((hash + step) & (count - 1)))?;
        if slot == 0 {
            return None;
        }
        let mut at = slot as usize - 1;
        let length = number(blob, &mut at)? as usize;
        if blob.get(at..at + length)? == word.as_bytes() {
            at += length;
            let count = number(blob, &mut at)?;
            return (0..count).map(|_| number(blob, &mut at)).collect();
        }
    }
    None
}

fn push_number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u32::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn mix(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(7, |hash, &byte| mix(hash, u64::from(byte)))
}

fn hash_numbers(numbers: &[u32]) -> u64 {
    let hash = numbers
        .iter()
        .fold(numbers.len() as u64, |hash, &n| mix(hash, u64::from(n)));
    mix(hash, hash >> 17)
}

fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, word| {
        mix(sum, u64::from_le_bytes(*word))
    });
    mix(sum, hash_bytes(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_find_what_was_put_in_and_nothing_else() {
        let mut entries = Table::new();
        for i in 0..500u32 {
            entries.insert(format!("word{i}"), vec![i, i + 1000, i + 100_000]);
        }
        let bytes = table(&entries);
        for (word, numbers) in &entries {
            assert_eq!(find(&bytes, word).as_ref(), Some(numbers));
        }
        assert_eq!(find(&bytes, "word500"), None);
        assert_eq!(find(&[], "word"), None);
    }

    #[test]
    fn irregular_forms_have_the_sets_of_all_their_bases() {
        let synsets = synsets("axe\n1 2\naxis\n3\n");
        let forms = exceptions("axe\naxes\naxis\naxes\nno-base\nnobases\n", &synsets);
        assert_eq!(forms["axes"], [1, 2, 3]);
        assert_eq!(forms["nobases"], [0u32; 0]);
    }

    #[test]
    fn damage_is_noticed() {
        assert!(Index::from_bytes(Vec::new()).is_none());
        let mut bytes = MAGIC.to_vec();
        let body = [0u8; 8 * SECTIONS];
        bytes.extend(checksum(&body).to_le_bytes());
        bytes.extend(body);
        assert!(Index::from_bytes(bytes.clone()).is_some());
        *bytes.last_mut().expect("not empty") ^= 1;
        assert!(Index::from_bytes(bytes).is_none());
    }
}
