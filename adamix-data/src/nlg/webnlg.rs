//! WebNLG 2017: the JSON that the released code reads, and the challenge's XML.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, escape};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::triple::{Triple, linearise};
use super::{Pair, json};
use crate::error::DataError;
use crate::source::{TextFile, io};
use crate::split::Split;

/// The categories of the training set.
const SEEN_CATEGORIES: [&str; 10] = [
    "Airport",
    "Astronaut",
    "Building",
    "City",
    "ComicsCharacter",
    "Food",
    "Monument",
    "SportsTeam",
    "University",
    "WrittenWork",
];

/// The files of a split: `train.json` and the like, or the challenge's XML files.
pub(super) fn find(
    folder: &Path,
    names: &[String],
    split: Split,
) -> Result<(Vec<String>, String), DataError> {
    let json = format!("{split}.json");
    let looked = match split {
        Split::Test => format!("{json}, testdata_with_lex.xml"),
        _ => format!("{json}, XML files below {split}/"),
    };
    if names.contains(&json) {
        return Ok((vec![json], looked));
    }
    let test = "testdata_with_lex.xml".to_owned();
    if split == Split::Test && names.contains(&test) {
        return Ok((vec![test], looked));
    }
    let mut found = Vec::new();
    if folder.join(split.name()).is_dir() {
        xml_below(folder, Path::new(split.name()), &mut found)?;
    }
    Ok((found, looked))
}

/// The XML files below a folder, by path; the challenge keeps one for each category and number of triples.
fn xml_below(root: &Path, below: &Path, found: &mut Vec<String>) -> Result<(), DataError> {
    for name in super::names_of(&root.join(below))? {
        let path: PathBuf = below.join(&name);
        if root.join(&path).is_dir() {
            xml_below(root, &path, found)?;
        } else if name.to_ascii_lowercase().ends_with(".xml") {
            let path = path.into_os_string().into_string();
            found.push(path.map_err(|path| {
                let source = std::io::Error::other("the name is not UTF-8");
                io(Path::new(&path), source)
            })?);
        }
    }
    Ok(())
}

/// Pairs of one file, entry by entry; its contents tell the layout.
pub(super) fn parse(file: &TextFile) -> Result<Vec<Vec<Pair>>, DataError> {
    let entries = match file.text.trim_start().starts_with('<') {
        true => Xml::new(file).entries()?,
        false => from_json(file)?,
    };
    Ok(entries.into_iter().map(Entry::pairs).collect())
}

/// One set of triples.
#[derive(Default)]
struct Entry {
    category: String,
    triples: Vec<Triple>,
    /// The texts whose comment is `good` or empty.
    good: Vec<String>,
    /// Whether there is any text at all.
    has_texts: bool,
}

impl Entry {
    fn add(&mut self, comment: &str, text: String) {
        self.has_texts = true;
        if matches!(comment, "" | "good") {
            self.good.push(text);
        }
    }

    /// A pair for each good text; one without text where the file holds none (the challenge's test input).
    fn pairs(self) -> Vec<Pair> {
        let context = linearise(&self.triples);
        let seen = SEEN_CATEGORIES.contains(&self.category.as_str());
        let mut texts: Vec<Option<String>> = self.good.into_iter().map(Some).collect();
        if !self.has_texts {
            texts.push(None);
        }
        let pair = |text| Pair {
            id: 0,
            context: context.clone(),
            text,
            seen: Some(seen),
        };
        texts.into_iter().map(pair).collect()
    }
}

#[derive(Deserialize)]
struct JsonFile {
    entries: Vec<Numbered>,
}

/// Entries by their number. One that is there twice is refused: a map would keep the last alone.
struct Numbered(BTreeMap<String, JsonEntry>);

impl<'de> Deserialize<'de> for Numbered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Numbered;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("entries by their number")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Numbered, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((number, entry)) = map.next_entry::<String, JsonEntry>()? {
                    if entries.insert(number.clone(), entry).is_some() {
                        let message = format!("entry `{number}` is there twice");
                        return Err(A::Error::custom(message));
                    }
                }
                Ok(Numbered(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[derive(Deserialize)]
struct JsonEntry {
    category: String,
    #[serde(deserialize_with = "json::triples")]
    modifiedtripleset: Vec<JsonTriple>,
    #[serde(default)]
    lexicalisations: Vec<JsonText>,
}

#[derive(Deserialize)]
struct JsonTriple {
    subject: String,
    property: String,
    object: String,
}

#[derive(Deserialize)]
struct JsonText {
    #[serde(default)]
    comment: String,
    #[serde(deserialize_with = "json::text")]
    lex: String,
}

fn from_json(file: &TextFile) -> Result<Vec<Entry>, DataError> {
    let expected = "{\"entries\": [{\"1\": {category, modifiedtripleset, lexicalisations}}, ...]}";
    let content: JsonFile = json::parse(file, expected)?;
    let entry = |found: JsonEntry| {
        let triple = |t: JsonTriple| [t.subject, t.property, t.object];
        let mut entry = Entry {
            category: found.category,
            triples: found.modifiedtripleset.into_iter().map(triple).collect(),
            ..Entry::default()
        };
        for text in found.lexicalisations {
            entry.add(&text.comment, text.lex);
        }
        entry
    };
    let all = content.entries.into_iter();
    let all = all.flat_map(|numbered| numbered.0.into_values());
    Ok(all.map(entry).collect())
}

/// The challenge's XML: `<entry category=…>` with `<mtriple>` in `<modifiedtripleset>`, and `<lex comment=…>`.
struct Xml<'a> {
    file: &'a TextFile,
    reader: Reader<&'a [u8]>,
}

impl<'a> Xml<'a> {
    fn new(file: &'a TextFile) -> Self {
        let mut reader = Reader::from_str(&file.text);
        // `<lex/>` is `<lex></lex>`, and as wrong.
        reader.config_mut().expand_empty_elements = true;
        Self { file, reader }
    }

    fn entries(mut self) -> Result<Vec<Entry>, DataError> {
        let mut entries = Vec::new();
        let mut open: Option<Entry> = None;
        let mut depth = 0usize;
        loop {
            let event = self.reader.read_event();
            match event.map_err(|e| self.fault(self.reader.error_position(), e.to_string()))? {
                Event::Start(tag) => match (tag.name().as_ref(), &mut open) {
                    ("entry", None) => {
                        open = Some(Entry {
                            category: self.attribute(&tag, "category")?,
                            ..Entry::default()
                        });
                        depth += 1;
                    }
                    ("mtriple", Some(entry)) => entry.triples.push(self.triple(&tag)?),
                    ("lex", Some(entry)) => {
                        let comment = self.attribute(&tag, "comment")?;
                        let text = self.text(&tag)?;
                        if text.is_empty() {
                            return Err(self.here("the text of a <lex> is empty; take it out"));
                        }
                        entry.add(&comment, text);
                    }
                    ("entry", Some(_)) => {
                        return Err(self.here("an <entry> inside an <entry>"));
                    }
                    ("mtriple" | "lex", None) => {
                        return Err(self.here("a text or triple outside of any <entry>"));
                    }
                    _ => depth += 1,
                },
                Event::End(tag) => {
                    depth = depth.saturating_sub(1);
                    if tag.name().as_ref() == "entry" {
                        let entry = open.take().unwrap_or_default();
                        if entry.triples.is_empty() {
                            return Err(self.here("an <entry> without <mtriple>"));
                        }
                        entries.push(entry);
                    }
                }
                Event::Eof if depth > 0 => {
                    return Err(self.here("the file ends inside an element that is never closed"));
                }
                Event::Eof => return Ok(entries),
                _ => {}
            }
        }
    }

    /// `subject | property | object`.
    fn triple(&mut self, tag: &BytesStart<'_>) -> Result<Triple, DataError> {
        let text = self.text(tag)?;
        let parts: Vec<&str> = text.splitn(3, " | ").map(str::trim).collect();
        match parts[..] {
            [subject, property, object] => Ok([subject, property, object].map(str::to_owned)),
            _ => Err(self.here(&format!("`{text}` is not `subject | property | object`"))),
        }
    }

    /// What an element holds, trimmed.
    fn text(&mut self, tag: &BytesStart<'_>) -> Result<String, DataError> {
        let raw = self.reader.read_text(tag.name());
        let raw = raw.map_err(|e| self.fault(self.reader.error_position(), e.to_string()))?;
        if raw.contains('<') {
            return Err(self.here(
                "markup inside a text: the challenge's own files have plain text there, with `&lt;` for `<`",
            ));
        }
        let text = escape::unescape(raw.as_ref()).map_err(|e| self.here(&e.to_string()))?;
        Ok(text.trim().to_owned())
    }

    /// An attribute's value, empty if it is absent.
    fn attribute(&self, tag: &BytesStart<'_>, name: &str) -> Result<String, DataError> {
        let found = tag.try_get_attribute(name);
        let found = found.map_err(|e| self.here(&e.to_string()))?;
        let Some(attribute) = found else {
            return Ok(String::new());
        };
        let value = escape::unescape(attribute.value.as_ref());
        Ok(value.map_err(|e| self.here(&e.to_string()))?.into_owned())
    }

    fn here(&self, message: &str) -> DataError {
        self.fault(self.reader.buffer_position(), message.to_owned())
    }

    fn fault(&self, position: u64, message: String) -> DataError {
        let before = &self.file.text.as_bytes()[..(position as usize).min(self.file.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        self.file.row(line, message)
    }
}
