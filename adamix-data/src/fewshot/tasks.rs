//! The tasks of the few-shot table: four of GLUE, and two of single texts.

use std::sync::LazyLock;

use crate::error::DataError;
use crate::task::{Columns, Task};

static OWN: LazyLock<[Task; 2]> = LazyLock::new(|| {
    let task = |name: &str, labels: [&str; 2]| {
        let labels = labels.map(str::to_owned).to_vec();
        let columns = Columns::new("text", None, "label");
        Task::classification(name, labels, columns).expect("two labels")
    };
    [
        task("subj", ["subjective", "objective"]),
        task("mpqa", ["negative", "positive"]),
    ]
});

/// A task by its name: `subj` (is a sentence an opinion?), `mpqa` (is a phrase positive?), or one of GLUE.
///
/// # Errors
/// [`DataError::UnknownTask`], which lists GLUE's names.
pub fn task(name: &str) -> Result<&'static Task, DataError> {
    let wanted = name.trim().to_ascii_lowercase();
    match OWN.iter().find(|task| task.name == wanted) {
        Some(task) => Ok(task),
        None => Task::by_name(name),
    }
}
