//! Where METEOR's official data comes from, and its plain contents.

use super::super::{archive, data_folder};
use super::error::MeteorError;
use flate2::read::GzDecoder;
use std::fs;
use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};

/// The official files of METEOR 1.5 for English.
pub(super) struct Source {
    /// Function words, one a line.
    pub(super) function_words: String,
    /// Abbreviations that keep their full stop.
    pub(super) prefixes: String,
    /// Pairs of lines: a base form, its irregular forms.
    pub(super) exceptions: String,
    /// Pairs of lines: a word, the numbers of its synonym sets.
    pub(super) synsets: String,
    paraphrases: Vec<u8>,
    paraphrase_path: PathBuf,
}

impl Source {
    /// Reads the data from a folder with `meteor-1.5.jar` and `data/paraphrase-en.gz`, from a
    /// pycocoevalcap wheel, or from a folder with such a wheel; `None` if there is neither.
    pub(super) fn open(place: &Path) -> Result<Option<Self>, MeteorError> {
        let read = |path: &Path| fs::read(path).map_err(MeteorError::file(path));
        let jar = place.join("meteor-1.5.jar");
        let table = place.join("data").join("paraphrase-en.gz");
        if jar.is_file() && table.is_file() {
            return Self::unpack(&jar, &read(&jar)?, &table, read(&table)?).map(Some);
        }
        let Some(wheel) = data_folder::wheel(place, "pycocoevalcap") else {
            return Ok(None);
        };
        let bytes = read(&wheel)?;
        let part = |name: &str| {
            archive::member(&bytes, name)
                .ok_or_else(|| MeteorError::format(&wheel, format!("no readable {name} inside")))
        };
        let jar = part("meteor/meteor-1.5.jar")?;
        let table = part("meteor/data/paraphrase-en.gz")?;
        Self::unpack(&wheel, &jar, &wheel, table).map(Some)
    }

    fn unpack(
        jar_path: &Path,
        jar: &[u8],
        paraphrase_path: &Path,
        paraphrases: Vec<u8>,
    ) -> Result<Self, MeteorError> {
        let part = |name: &str| {
            let bytes = archive::member(jar, name).ok_or_else(|| {
                MeteorError::format(jar_path, format!("no readable {name} in the jar"))
            })?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Self {
            function_words: part("function/english.words")?,
            prefixes: part("nonbreaking/english.prefixes")?,
            exceptions: part("synonym/english.exceptions")?,
            synsets: part("synonym/english.synsets")?,
            paraphrases,
            paraphrase_path: paraphrase_path.to_owned(),
        })
    }

    /// Hands over every phrase with its paraphrase, in the order of the table.
    pub(super) fn paraphrases(
        &self,
        mut each: impl FnMut(&str, &str) -> Result<(), MeteorError>,
    ) -> Result<(), MeteorError> {
        let error = |source| MeteorError::file(&self.paraphrase_path)(source);
        let mut reader = BufReader::with_capacity(
            1 << 18,
            GzDecoder::new(Cursor::new(self.paraphrases.as_slice())),
        );
        let mut line = Vec::new();
        let mut next = |text: &mut String| -> Result<bool, MeteorError> {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(error)?;
            text.clear();
            text.push_str(&String::from_utf8_lossy(&line));
            Ok(read > 0)
        };
        let (mut probability, mut phrase, mut paraphrase) =
            (String::new(), String::new(), String::new());
        while next(&mut probability)? {
            if !next(&mut phrase)? || !next(&mut paraphrase)? {
                return Err(MeteorError::format(
                    &self.paraphrase_path,
                    "the table ends in the middle of an entry",
                ));
            }
            each(&phrase, &paraphrase)?;
        }
        Ok(())
    }
}
