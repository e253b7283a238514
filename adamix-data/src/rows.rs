//! From the cells of a row to an example: what every format shares.

use std::path::Path;

use crate::error::DataError;
use crate::example::Target;
use crate::task::Task;

/// The target a label stands for.
///
/// `line` counts from 1 and only serves the error.
pub(crate) fn target(
    task: &Task,
    label: &str,
    path: &Path,
    line: usize,
) -> Result<Target, DataError> {
    let refuse = |allowed: String| DataError::Label {
        path: path.into(),
        line,
        value: label.into(),
        allowed,
    };
    if task.is_regression() {
        let score: Option<f32> = label.trim().parse().ok();
        return score
            .filter(|score| score.is_finite())
            .map(Target::Score)
            .ok_or_else(|| refuse("a finite number".into()));
    }
    let class = task.class_of(label);
    class.map(Target::Class).ok_or_else(|| {
        let names = task.labels.join(", ");
        refuse(match task.has_numbers_for_names() {
            true => names,
            false => format!("{names} (or 0 to {})", task.labels.len() - 1),
        })
    })
}

/// The place of a column in a header.
pub(crate) fn column(header: &[&str], name: &str, path: &Path) -> Result<usize, DataError> {
    header
        .iter()
        .position(|&column| column == name)
        .ok_or_else(|| DataError::MissingColumn {
            path: path.into(),
            column: name.into(),
            found: header.join(", "),
        })
}
