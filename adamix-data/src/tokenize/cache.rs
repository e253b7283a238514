//! Encodings of large splits, kept on disk from run to run.
//!
//! A file is named after the hash of all that its encodings depend on: the tokenizer's files, the length, every
//! text. So nothing is ever out of date, and a file may be deleted at any time. What cannot be read, or does not
//! match its checksum, is made anew; what cannot be written is not kept. Files appear whole, so several
//! programs may share a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Encoding, Tokenizer};
use crate::error::DataError;
use crate::example::Example;

/// The layout of a file and the behaviour of `tokenizers`: raised when either changes.
const FORMAT: &[u8; 8] = b"adamixt1";
/// Fewer examples than these are encoded sooner than looked up.
const WORTHWHILE: usize = 4096;
/// Bytes of a file's checksum.
const CHECKSUM: usize = 32;

/// A folder that encodings are kept in.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// A cache in a folder, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// What [`Tokenizer::encode_all`] gives, read from the folder if it was made before.
    ///
    /// # Errors
    /// As there; none because of the folder.
    pub fn encode_all(
        &self,
        tokenizer: &Tokenizer,
        examples: &[Example],
        max_len: usize,
    ) -> Result<Vec<Encoding>, DataError> {
        if examples.len() < WORTHWHILE {
            return tokenizer.encode_all(examples, max_len);
        }
        let path = self.folder.join(key(tokenizer, examples, max_len));
        let kept = fs::read(&path).ok().and_then(|bytes| parse(&bytes));
        if let Some(kept) = kept.filter(|kept| kept.len() == examples.len()) {
            return Ok(kept);
        }
        let encodings = tokenizer.encode_all(examples, max_len)?;
        if let Some(bytes) = bytes(&encodings) {
            // The run goes on without: a full disk costs time, no result.
            let _ = self.keep(&path, &bytes);
        }
        Ok(encodings)
    }

    fn keep(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(&self.folder)?;
        let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let own = path.with_extension(format!("{}-{count}", std::process::id()));
        let written = fs::write(&own, bytes).and_then(|()| fs::rename(&own, path));
        written.inspect_err(|_| drop(fs::remove_file(&own)))
    }
}

/// The name of a file.
fn key(tokenizer: &Tokenizer, examples: &[Example], max_len: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORMAT).update(tokenizer.hash.as_bytes());
    hasher.update(&(max_len as u64).to_le_bytes());
    for example in examples {
        for text in [Some(&example.first), example.second.as_ref()] {
            // No text is as long as the place of one that is absent.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            hasher.update(&length.to_le_bytes());
            hasher.update(text.map_or(&[], |text| text.as_bytes()));
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// A file: format, number of encodings, then for each its length, ids and segments; a checksum of it all.
/// `None` if a segment takes more than a byte.
fn bytes(encodings: &[Encoding]) -> Option<Vec<u8>> {
    let mut out = FORMAT.to_vec();
    out.extend((encodings.len() as u64).to_le_bytes());
    for encoding in encodings {
        out.extend(u32::try_from(encoding.len()).ok()?.to_le_bytes());
        out.extend(encoding.ids.iter().flat_map(|id| id.to_le_bytes()));
        for segment in &encoding.type_ids {
            out.push(u8::try_from(*segment).ok()?);
        }
    }
    out.extend(blake3::hash(&out).as_bytes());
    Some(out)
}

/// The encodings of a file, or `None` if it is not one, or damaged.
fn parse(bytes: &[u8]) -> Option<Vec<Encoding>> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if blake3::hash(content).as_bytes() != checksum {
        return None;
    }
    let mut rest = content.strip_prefix(FORMAT)?;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    let word = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
    let count = u64::from_le_bytes(take(8)?.try_into().ok()?);
    let mut encodings = Vec::new();
    for _ in 0..count {
        let length = word(take(4)?)? as usize;
        let ids = take(length.checked_mul(4)?)?;
        let type_ids = take(length)?;
        encodings.push(Encoding {
            ids: ids.chunks_exact(4).map(word).collect::<Option<_>>()?,
            type_ids: type_ids.iter().copied().map(u32::from).collect(),
        });
    }
    rest.is_empty().then_some(encodings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\n";

    fn tokenizer(folder: &Path, vocab: &str) -> Tokenizer {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("vocab.txt"), vocab).unwrap();
        Tokenizer::from_folder(folder).unwrap()
    }

    /// Rows of one or two texts.
    fn examples(tail: &str) -> Vec<Example> {
        let row = |i: usize| Example {
            id: i as u32,
            first: ["a", "b c", ""][i % 3].to_owned() + tail,
            second: i.is_multiple_of(2).then(|| "c c a".to_owned()),
            target: crate::Target::Class(0),
        };
        (0..WORTHWHILE).map(row).collect()
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn encodings_are_kept_by_all_they_depend_on() {
        let folder = tempfile::tempdir().unwrap();
        let (model, kept) = (folder.path().join("model"), folder.path().join("kept"));
        let (tokenizer_, cache) = (tokenizer(&model, VOCAB), Cache::new(&kept));
        let rows = examples("");
        let expected = tokenizer_.encode_all(&rows, 8).unwrap();
        for _ in 0..2 {
            assert_eq!(cache.encode_all(&tokenizer_, &rows, 8).unwrap(), expected);
            assert_eq!(files(&kept).len(), 1);
        }
        // What is read is what is kept: a file in its place with other encodings is believed.
        let other = vec![Encoding::default(); rows.len()];
        fs::write(&files(&kept)[0], bytes(&other).unwrap()).unwrap();
        assert_eq!(cache.encode_all(&tokenizer_, &rows, 8).unwrap(), other);

        cache.encode_all(&tokenizer_, &rows, 5).unwrap();
        cache.encode_all(&tokenizer_, &examples(" a"), 8).unwrap();
        let another = tokenizer(&model, &VOCAB.replace("a\nb", "b\na"));
        cache.encode_all(&another, &rows, 8).unwrap();
        assert_eq!(files(&kept).len(), 4);
        // The second text counts as the first does, and an empty one is not an absent one.
        for (more, second) in [Some("b"), Some(""), None].into_iter().enumerate() {
            let mut rows = rows.clone();
            for row in &mut rows {
                row.second = second.map(str::to_owned);
            }
            let expected = tokenizer_.encode_all(&rows, 8).unwrap();
            assert_eq!(cache.encode_all(&tokenizer_, &rows, 8).unwrap(), expected);
            assert_eq!(files(&kept).len(), 5 + more, "{second:?}");
        }
        // Few rows are not kept.
        cache.encode_all(&tokenizer_, &rows[..9], 8).unwrap();
        assert_eq!(files(&kept).len(), 7);
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (model, kept) = (folder.path().join("model"), folder.path().join("kept"));
        let (tokenizer, cache) = (tokenizer(&model, VOCAB), Cache::new(&kept));
        let rows = examples("");
        let expected = cache.encode_all(&tokenizer, &rows, 8).unwrap();
        let path = files(&kept).remove(0);
        let whole = fs::read(&path).unwrap();
        let mut turned = whole.clone();
        turned[40] ^= 1;
        let longer = [&whole[..], &[0]].concat();
        for damaged in [
            &[][..],
            &whole[..20],
            &whole[..whole.len() - 1],
            &turned,
            &longer,
        ] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.encode_all(&tokenizer, &rows, 8).unwrap(), expected);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "no folder").unwrap();
        let tokenizer = tokenizer(&folder.path().join("model"), VOCAB);
        let rows = examples("");
        let found = Cache::new(&file).encode_all(&tokenizer, &rows, 8).unwrap();
        assert_eq!(found, tokenizer.encode_all(&rows, 8).unwrap());
    }
}
