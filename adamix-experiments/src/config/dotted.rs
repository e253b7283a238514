//! Config tables by dotted keys: `optimizer.learning_rate`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

/// A table's values by their dotted keys: `a.b = 1`, `[a] b = 1` and `"a.b" = 1` are the same.
pub fn dotted(table: &Table) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                let nested = dotted(inner).into_iter();
                flat.extend(nested.map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => {
                flat.insert(name.clone(), value.clone());
            }
        }
    }
    flat
}

/// No key is deeper than this: what is nested without end would exhaust the stack.
const MAX_DEPTH: usize = 8;

/// Puts a value at a dotted key.
///
/// # Errors
/// If the key goes through a value that is no table, or is deeper than any that there is.
pub fn put(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let mut place = table;
    let mut names: Vec<&str> = key.split('.').collect();
    ensure!(
        names.len() <= MAX_DEPTH,
        "a key of {} names; none has more than {MAX_DEPTH}",
        names.len()
    );
    let last = names.pop().unwrap_or_default();
    for name in names {
        let next = place
            .entry(name.to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        place = next
            .as_table_mut()
            .with_context(|| format!("`{name}` is not a table"))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

/// Lays one table over another, key by key.
pub fn overlay(below: &mut Table, above: Table) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => {
                below.insert(name, value);
            }
        }
    }
}

/// A value as people write it, strings without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_keys_go_in_and_out() {
        let mut table: Table = "a.b = 1\n[c]\nd = \"x\"\n".parse().unwrap();
        put(&mut table, "c.e", Value::Integer(2)).unwrap();
        let flat = dotted(&table);
        let lines: Vec<String> = flat
            .iter()
            .map(|(k, v)| format!("{k}={}", plain(v)))
            .collect();
        assert_eq!(lines, ["a.b=1", "c.d=x", "c.e=2"]);
        assert!(put(&mut table, "a.b.c", Value::Integer(3)).is_err());
    }

    #[test]
    fn the_upper_table_wins_key_by_key() {
        let mut below: Table = "a = 1\n[t]\nx = 1\ny = 1\n".parse().unwrap();
        overlay(&mut below, "a = 2\n[t]\ny = 2\n".parse().unwrap());
        assert_eq!(below, "a = 2\n[t]\nx = 1\ny = 2\n".parse().unwrap());
    }
}
