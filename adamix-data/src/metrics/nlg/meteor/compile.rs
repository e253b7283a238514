//! Compiling METEOR's official data to the sections of its index.

use super::error::MeteorError;
use super::hash::{hash_bytes, hash_numbers};
use super::normalize::java_words;
use super::source::Source;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// The most words of a phrase; the official table has up to seven.
pub(super) const LONGEST: usize = 7;

/// The sections that are not plain text.
#[derive(Default)]
pub(super) struct Tables {
    /// Words with their synonym sets.
    pub(super) synsets: Vec<u8>,
    /// Irregular forms with the synonym sets of their bases.
    pub(super) exceptions: Vec<u8>,
    /// Words of the paraphrase table with their number and the longest phrase they start.
    pub(super) vocabulary: Vec<u8>,
    /// A hash table of phrases: a tag, and where the phrase is.
    pub(super) phrase_slots: Vec<u8>,
    /// Phrases with their paraphrases.
    pub(super) phrases: Vec<u8>,
}

/// Compiles all tables.
pub(super) fn tables(source: &Source) -> Result<Tables, MeteorError> {
    let synsets = synsets(&source.synsets);
    let mut tables = Tables {
        synsets: table(&synsets),
        exceptions: table(&exceptions(&source.exceptions, &synsets)),
        ..Tables::default()
    };
    paraphrases(source, &mut tables)?;
    Ok(tables)
}

/// Words with numbers.
pub(super) type Table = HashMap<String, Vec<u32>>;

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

/// Adds the vocabulary, the hash table of phrases, and the phrases.
fn paraphrases(source: &Source, tables: &mut Tables) -> Result<(), MeteorError> {
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
    tables.vocabulary = table(&vocabulary);
    tables.phrase_slots = slots.iter().flat_map(|slot| slot.to_le_bytes()).collect();
    tables.phrases = out;
    Ok(())
}

fn push_phrase(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = u32>) {
    push_number(out, words.len() as u32);
    for word in words {
        push_number(out, word);
    }
}

/// Slots with the offsets of the entries (open addressing), then the entries.
pub(super) fn table(entries: &Table) -> Vec<u8> {
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

fn push_number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn irregular_forms_have_the_sets_of_all_their_bases() {
        let synsets = synsets("axe\n1 2\naxis\n3\n");
        let forms = exceptions("axe\naxes\naxis\naxes\nno-base\nnobases\n", &synsets);
        assert_eq!(forms["axes"], [1, 2, 3]);
        assert_eq!(forms["nobases"], [0u32; 0]);
    }
}
