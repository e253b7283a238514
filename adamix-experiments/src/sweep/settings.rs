//! What a run of a sweep changes, and the names by which tables call it.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

/// What a run changes: dotted config keys and their values.
pub type Settings = BTreeMap<String, Value>;

/// The shortest ends of dotted keys that tell them apart: `optimizer.learning_rate` is `learning_rate`.
pub fn short_names<'a>(keys: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, String> {
    let keys: BTreeSet<&String> = keys.into_iter().collect();
    let end = |key: &str, parts: usize| {
        let names: Vec<&str> = key.split('.').collect();
        names[names.len().saturating_sub(parts)..].join(".")
    };
    let unique = |key: &str, parts: usize| {
        let name = end(key, parts);
        keys.iter()
            .filter(|other| end(other, parts) == name)
            .count()
            == 1
    };
    let short = |key: &&String| {
        let depth = key.split('.').count();
        let parts = (1..depth)
            .find(|parts| unique(key, *parts))
            .unwrap_or(depth);
        ((*key).clone(), end(key, parts))
    };
    keys.iter().map(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_may_be() {
        let keys = ["a.rate", "b.rate", "b.size", "seed"].map(str::to_owned);
        let short = short_names(&keys);
        let names: Vec<&str> = keys.iter().map(|key| short[key].as_str()).collect();
        assert_eq!(names, ["a.rate", "b.rate", "size", "seed"]);
    }
}
