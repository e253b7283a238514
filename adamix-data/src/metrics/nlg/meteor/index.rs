//! METEOR's data as one compact file that opens in milliseconds.
//!
//! The file is a header (magic, checksum, lengths of the sections) and seven sections: function words,
//! abbreviations, synonym sets, irregular forms and paraphrase words as hashed tables, a hash table of phrases, and the
//! phrases with their paraphrases as variable-length word numbers, frequent words first.

use super::compile::{self, LONGEST};
use super::error::MeteorError;
use super::hash::{checksum, hash_bytes, hash_numbers};
use super::source::Source;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

const MAGIC: &[u8; 8] = b"ADXMET\x15\x01";
const SECTIONS: usize = 7;
const HEADER: usize = 16 + 8 * SECTIONS;

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
        let tables = compile::tables(source)?;
        let sections: [Vec<u8>; SECTIONS] = [
            source.function_words.clone().into_bytes(),
            source.prefixes.clone().into_bytes(),
            tables.synsets,
            tables.exceptions,
            tables.vocabulary,
            tables.phrase_slots,
            tables.phrases,
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

#[cfg(test)]
mod tests {
    use super::*;
    use compile::{Table, table};

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
