//! A run's settings, put together layer by layer, each value with its source.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use toml::{Table, Value};

/// Where a setting is from if it makes a row what it is.
pub const DEFINITION: &str = "the row";

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

    /// Keys and values by source, in the order in which sources first occur among the keys.
    pub fn by_source(&self) -> Vec<(&str, Vec<String>)> {
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for (key, source) in &self.sources {
            let value = lookup(&self.table, key).map_or(String::new(), Value::to_string);
            let text = format!("{key} = {value}");
            match groups.iter_mut().find(|(known, _)| known == source) {
                Some((_, texts)) => texts.push(text),
                None => groups.push((source, vec![text])),
            }
        }
        groups.sort_by_key(|(source, _)| (source.starts_with("assumed"), *source != DEFINITION));
        groups
    }
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
        assert_eq!(
            settings.by_source(),
            [
                ("a", vec!["task = \"rte\"".to_owned()]),
                ("assumed", vec!["schedule.epochs = 5".to_owned()])
            ]
        );
        assert!(settings.put(table("task.x = 1"), "b").is_err());
    }
}
