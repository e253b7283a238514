//! Runs by what they are for.

use serde::Deserialize;

use super::methods::Row;

/// What a run is for: a row of an exhibit on a task.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The exhibit.
    pub exhibit: &'a str,
    /// The base model, as the paper names it.
    pub base: &'a str,
    /// The row.
    pub row: &'a Row,
    /// The task.
    pub task: &'a str,
}

/// Runs, by what they are for. An empty list matches everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Exhibits.
    pub exhibits: Vec<String>,
    /// Base models, as the paper names them.
    pub bases: Vec<String>,
    /// Methods.
    pub methods: Vec<String>,
    /// Rows.
    pub rows: Vec<String>,
    /// Tasks.
    pub tasks: Vec<String>,
}

impl Selector {
    /// Whether a run is meant.
    pub fn matches(&self, place: Place<'_>) -> bool {
        let any = |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
        any(&self.exhibits, place.exhibit)
            && any(&self.bases, place.base)
            && any(&self.methods, place.row.method)
            && any(&self.rows, place.row.key)
            && any(&self.tasks, place.task)
    }
}
