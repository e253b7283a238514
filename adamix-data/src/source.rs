//! Files as they lie on the disk: bounded, hashed, and (for text) checked to be UTF-8.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// Largest text or tokenizer file that is read, in bytes (2 GiB). The largest GLUE file is below 0.1 GiB.
const MAX_FILE_BYTES: u64 = 1 << 31;

/// Longest line of a text file, in bytes (1 MiB): a longer one is a broken file, not an example.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 20;

/// A content hash of files: BLAKE3 in hexadecimal, as `b3sum` prints it for one file.
///
/// For several files it is the hash of their hashes in the order given. Names and places do not count.
///
/// # Errors
/// [`DataError::Io`] if a file cannot be read.
pub fn fingerprint(files: &[PathBuf]) -> Result<String, DataError> {
    let mut hashes = Vec::new();
    for path in files {
        let mut hasher = blake3::Hasher::new();
        let file = File::open(path).map_err(|source| io(path, source))?;
        hasher
            .update_reader(file)
            .map_err(|source| io(path, source))?;
        hashes.push(hasher.finalize());
    }
    Ok(combine(&hashes))
}

/// One hash from the hashes of the files of a split.
pub(crate) fn combine(hashes: &[blake3::Hash]) -> String {
    match hashes {
        [one] => one.to_hex().to_string(),
        many => {
            let mut hasher = blake3::Hasher::new();
            for hash in many {
                hasher.update(hash.as_bytes());
            }
            hasher.finalize().to_hex().to_string()
        }
    }
}

/// The error of a file that the operating system refused.
pub(crate) fn io(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io {
        path: path.into(),
        source,
    }
}

/// A whole file in memory with its content hash.
pub(crate) fn read_bytes(path: &Path) -> Result<(Vec<u8>, blake3::Hash), DataError> {
    let file = File::open(path).map_err(|source| io(path, source))?;
    let mut bytes = Vec::new();
    // A bound on what is read, and not on what the file claims: pipes and growing files claim nothing.
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| io(path, source))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(DataError::File {
            path: path.into(),
            message: format!("the file is larger than {MAX_FILE_BYTES} bytes; split it"),
        });
    }
    let hash = blake3::hash(&bytes);
    Ok((bytes, hash))
}

/// The text of a UTF-8 file, without a byte-order mark.
///
/// # Errors
/// [`DataError::Io`] if it cannot be read; [`DataError::Row`] with the line of what is no UTF-8.
pub fn read_text(path: &Path) -> Result<String, DataError> {
    TextFile::read_document(path).map(|file| file.text)
}

/// A UTF-8 text file in memory, without a byte-order mark.
pub(crate) struct TextFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) hash: blake3::Hash,
}

impl TextFile {
    /// Reads and checks a file whose lines are its rows.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let file = Self::read_document(path)?;
        file.check_lines()?;
        Ok(file)
    }

    /// Refuses a line that is too long to be a row.
    pub(crate) fn check_lines(&self) -> Result<(), DataError> {
        for (line, content) in self.lines() {
            if content.len() > MAX_LINE_BYTES {
                let message = format!("the line is longer than {MAX_LINE_BYTES} bytes");
                return Err(self.row(line, message));
            }
        }
        Ok(())
    }

    /// Reads a file whose lines mean nothing, such as JSON or XML.
    pub(crate) fn read_document(path: &Path) -> Result<Self, DataError> {
        let (mut bytes, hash) = read_bytes(path)?;
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            bytes.drain(..3);
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = lines(std::str::from_utf8(valid).unwrap_or_default()).count();
            // A bad byte that opens a line belongs to the line after the last complete one.
            let opens = matches!(valid.last(), None | Some(b'\n' | b'\r'));
            DataError::Row {
                path: path.into(),
                line: line + usize::from(opens),
                message: "invalid UTF-8; convert the file to UTF-8".into(),
            }
        })?;
        Ok(Self {
            path: path.into(),
            text,
            hash,
        })
    }

    /// The lines with their numbers from 1, without terminators.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        lines(&self.text).enumerate().map(|(i, line)| (i + 1, line))
    }

    /// The error of a line of this file.
    pub(crate) fn row(&self, line: usize, message: String) -> DataError {
        DataError::Row {
            path: self.path.clone(),
            line,
            message,
        }
    }
}

/// Splits at `\n`, `\r\n` and lone `\r`, and nowhere else: Python's universal newlines, by which the
/// official GLUE files are read. (`str::lines` keeps a lone `\r`.)
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let width = if text[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        let after = &text[end + width..];
        rest = (!after.is_empty()).then_some(after);
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_python_breaks_them() {
        let split = |text| lines(text).collect::<Vec<_>>();
        // repr of `io.StringIO(text, newline=None).read().split("\n")` in CPython, last empty part dropped.
        assert_eq!(split("a\r\nb\rc\n\nd"), ["a", "b", "c", "", "d"]);
        assert_eq!(
            split("a\u{85}b\u{2028}c\x0bd\n"),
            ["a\u{85}b\u{2028}c\x0bd"]
        );
        assert!(split("").is_empty());
    }

    #[test]
    fn a_bad_byte_is_found_on_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.tsv");
        for (bytes, line) in [
            (&b"\xff"[..], 1),
            (b"a\nb\xff\n", 2),
            (b"a\nb\n\xffc", 3),
            (b"\xEF\xBB\xBFa\r\n\xc3", 2),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = TextFile::read(&path).err().unwrap().to_string();
            assert!(
                error.contains(&format!("bad.tsv:{line}: invalid UTF-8")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.tsv");
        std::fs::write(&path, format!("a\n{}", "x".repeat(MAX_LINE_BYTES + 1))).unwrap();
        let error = TextFile::read(&path).err().unwrap().to_string();
        assert!(error.contains("long.tsv:2: the line is longer"), "{error}");
    }

    #[test]
    fn one_files_fingerprint_is_its_b3sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // The published BLAKE3 hash of "abc".
        assert_eq!(
            fingerprint(std::slice::from_ref(&path)).unwrap(),
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
        let two = fingerprint(&[path.clone(), path]).unwrap();
        assert!(two.len() == 64 && !two.starts_with("6437"));
    }
}
