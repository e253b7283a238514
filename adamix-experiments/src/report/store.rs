//! The folder of records, read whole.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use adamix_models::hub::write;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{Gold, Record};
use crate::config::RunConfig;
use crate::run::rerun;

/// All records of a results folder.
#[derive(Clone, Debug, Default)]
pub struct Records {
    folder: PathBuf,
    by_spec: BTreeMap<String, Record>,
    gold: BTreeMap<String, Gold>,
}

impl Records {
    /// Reads `records/` and `gold/` of a folder; none where they are not there yet.
    ///
    /// # Errors
    /// If a file cannot be understood, names answers that are not there, or two records are of one config.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut records = Self {
            folder: folder.to_owned(),
            ..Self::default()
        };
        // Before the answers, which other programs write first.
        let found = json_files::<Record>(&folder.join("records"))?;
        for (path, gold) in json_files::<Gold>(&folder.join("gold"))? {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if gold.name() != name {
                bail!(
                    "{}: its contents are not those it is named after; write it anew from the data",
                    path.display()
                );
            }
            records.gold.insert(name, gold);
        }
        for (path, record) in found {
            if !record.gold.is_empty() && !records.gold.contains_key(&record.gold) {
                bail!(
                    "{}: its answers gold/{}.json are missing",
                    path.display(),
                    record.gold
                );
            }
            if let Some(other) = records.by_spec.insert(spec_of(&record.config), record) {
                bail!(
                    "{}: a second record of the config of run {}",
                    path.display(),
                    other.id
                );
            }
        }
        Ok(records)
    }

    /// Reads them anew: other programs may have added some.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn refresh(&mut self) -> Result<()> {
        *self = Self::read(&self.folder)?;
        Ok(())
    }

    /// The record of a config.
    pub fn of(&self, config: &RunConfig) -> Option<&Record> {
        self.by_spec.get(&spec_of(&rerun(config)))
    }

    /// The folder they lie in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All records, in the order of their configs' hashes.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.by_spec.values()
    }

    /// The answers that a record is measured against.
    pub fn gold(&self, record: &Record) -> Option<&Gold> {
        self.gold.get(&record.gold)
    }

    /// Adds a record, in memory and on disk, in place of one of the same config.
    pub fn add(&mut self, record: Record, gold: Option<Gold>) -> Result<()> {
        if let Some(gold) = gold {
            let name = gold.name();
            let path = self.folder.join("gold").join(format!("{name}.json"));
            // It is named after its contents.
            if !path.is_file() {
                write_json(&path, &gold)?;
            }
            self.gold.insert(name, gold);
        }
        let file = file_of(&record);
        let spec = spec_of(&record.config);
        // First, so that there are never two; what it was made from is still in the run's folder.
        if let Some(before) = self.by_spec.get(&spec).map(file_of).filter(|b| *b != file) {
            let path = self.folder.join(before);
            match std::fs::remove_file(&path) {
                // Another program replaced it meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => {
                    removed.with_context(|| format!("{}: cannot be removed", path.display()))?;
                }
            }
        }
        write_json(&self.folder.join(&file), &record)?;
        self.by_spec.insert(spec, record);
        Ok(())
    }
}

/// Where a record lies in its results folder.
pub fn file_of(record: &Record) -> String {
    format!(
        "records/{}-{}-{}.json",
        record.task, record.method, record.id
    )
}

/// What a config is known by before its files are opened: the hash of the keys that differ from their defaults, the
/// places of model and data included.
pub fn spec_of(chosen: &toml::Table) -> String {
    let text = toml::to_string(chosen).expect("a table serialises");
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Every JSON file of a folder, in the order of names.
fn json_files<T: DeserializeOwned>(folder: &Path) -> Result<Vec<(PathBuf, T)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = || format!("{}: cannot be read", folder.display());
    let mut paths = Vec::new();
    for entry in folder.read_dir().with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = match std::fs::read_to_string(&path) {
            // Another program took it away meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("{}: cannot be read", path.display()))?,
        };
        let value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Some((path, value)))
    };
    paths
        .into_iter()
        .map(read)
        .filter_map(Result::transpose)
        .collect()
}

/// One field a line: small, and a difference shows where it is.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let serde_json::Value::Object(fields) = serde_json::to_value(value)? else {
        bail!("{}: not an object", path.display());
    };
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("  {}: {value}", serde_json::Value::from(name.as_str())))
        .collect();
    let text = format!("{{\n{}\n}}\n", lines.join(",\n"));
    Ok(write::atomic(path, text.as_bytes())?)
}
