//! A run's settings, put together layer by layer, each value with its source.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;
use toml::{Table, Value};

/// Where a setting is from if it makes a row what it is.
pub const DEFINITION: &str = "the row";

/// Where a seed is from that no layer names.
pub const NUMBERED: &str = "the seed's number";

/// Where a setting is from if nobody named it.
pub const DEFAULT: &str = "assumed (the program's default)";

/// A run's settings before defaults, each with its source.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Values.
    pub table: Table,
    /// Sources by dotted key.
    pub sources: BTreeMap<String, String>,
}

impl Settings {
    /// Puts values over those that are there.
    pub(super) fn put(&mut self, values: Table, source: &str) -> Result<()> {
        merge("", &mut self.table, values, &mut |key| {
            self.sources.insert(key, source.to_owned());
        })
    }

    /// Keys and values, each with its source: what makes the row first and what is assumed last, of a source together.
    pub fn by_source(&self) -> Vec<Setting> {
        let mut order: Vec<&String> = Vec::new();
        for source in self.sources.values() {
            if !order.contains(&source) {
                order.push(source);
            }
        }
        order.sort_by_key(|source| (source.starts_with("assumed"), *source != DEFINITION));
        let place = |source: &String| order.iter().position(|known| *known == source);
        let mut settings: Vec<Setting> = self
            .sources
            .iter()
            .filter_map(|(key, source)| {
                Some(Setting {
                    key: key.clone(),
                    value: lookup(&self.table, key)?.clone(),
                    source: source.clone(),
                })
            })
            .collect();
        settings.sort_by_key(|setting| place(&setting.source));
        settings
    }
}

/// A key's value, and where it is from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Dotted.
    pub key: String,
    /// As in a run's TOML.
    pub value: Value,
    /// A paper, released code, a search, or `assumed`.
    pub source: String,
}

fn merge(prefix: &str, into: &mut Table, from: Table, note: &mut dyn FnMut(String)) -> Result<()> {
    for (name, value) in from {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Table(inner) => {
                let place = into
                    .entry(name)
                    .or_insert_with(|| Value::Table(Table::new()));
                let Some(place) = place.as_table_mut() else {
                    bail!("`{key}` is a value and a table");
                };
                merge(&key, place, inner, note)?;
            }
            value => {
                note(key);
                into.insert(name, value);
            }
        }
    }
    Ok(())
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((first, rest)) => lookup(table.get(first)?.as_table()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_win_and_keep_their_source() {
        let mut settings = Settings::default();
        let table = |text: &str| text.parse::<Table>().unwrap();
        settings
            .put(table("schedule.epochs = 3\ntask = 'rte'"), "a")
            .unwrap();
        settings
            .put(table("schedule.epochs = 5"), "assumed")
            .unwrap();
        let setting = |key: &str, value: Value, source: &str| Setting {
            key: key.to_owned(),
            value,
            source: source.to_owned(),
        };
        assert_eq!(
            settings.by_source(),
            [
                setting("task", "rte".into(), "a"),
                setting("schedule.epochs", 5.into(), "assumed"),
            ]
        );
        assert!(settings.put(table("task.x = 1"), "b").is_err());
    }
}
