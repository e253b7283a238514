//! The results of a sweep as a table: one row a run, in the order of the plan, without a clock in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::status::Status;
use crate::config::plain;

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

/// Comma-separated values: settings, state, and the scores of the best and the last epoch.
///
/// # Errors
/// If a row cannot be written, which memory has no cause for.
pub fn write_table(status: &Status) -> Result<String> {
    let keys: BTreeSet<&String> = status.runs.iter().flat_map(|r| r.settings.keys()).collect();
    let measured = || status.runs.iter().filter_map(|r| r.best.as_ref());
    let metrics: BTreeSet<&String> = measured().flat_map(|m| m.metrics.keys()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = vec!["id".to_owned()];
    header.extend(keys.iter().map(|key| (*key).clone()));
    header.push("state".to_owned());
    for epoch in ["best", "last"] {
        header.push(format!("{epoch}.epoch"));
        header.extend(metrics.iter().map(|metric| format!("{epoch}.{metric}")));
    }
    writer.write_record(&header)?;
    for run in &status.runs {
        let mut row = vec![run.id.clone()];
        row.extend(
            keys.iter()
                .map(|key| run.settings.get(*key).map_or(String::new(), plain)),
        );
        row.push(run.state.to_owned());
        for measured in [&run.best, &run.last] {
            row.push(
                measured
                    .as_ref()
                    .map_or(String::new(), |m| m.epoch.to_string()),
            );
            let value = |metric: &&String| {
                let value = measured.as_ref()?.metrics.get(*metric).copied().flatten()?;
                Some(value.to_string())
            };
            row.extend(
                metrics
                    .iter()
                    .map(|metric| value(metric).unwrap_or_default()),
            );
        }
        writer.write_record(&row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
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
