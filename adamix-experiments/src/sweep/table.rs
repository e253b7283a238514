//! The results of a sweep as a table: one row a run, in the order of the plan, without a clock in it.

use std::collections::BTreeSet;

use anyhow::Result;

use super::status::Status;
use crate::config::plain;

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
