//! LiST's split files: `<task>/30-<n>/train.*`, and `test.*` (MNLI: `test_matched.tsv`) or the smaller `test_clue.*`.

use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::example::{Example, Rows};
use crate::rows::target;
use crate::source::{TextFile, combine};
use crate::task::Task;

/// How many fixed splits a task has.
pub const SPLITS: usize = 5;

/// How many training rows each has, of all classes together.
pub const ROWS: usize = 30;

/// Where a row's parts stand, by column.
struct Layout {
    /// Folder of the task.
    folder: &'static str,
    /// Whether cells stand between commas, with quotes, or between tabs.
    commas: bool,
    /// The training file: first text, second text, label, and whether there is a heading.
    train: Columns,
    /// The full test file: its name without extension, and its columns.
    test: (&'static str, Columns),
    /// The small test file.
    small: Columns,
}

/// First text, second text, label, heading.
type Columns = (usize, Option<usize>, usize, bool);

/// The layouts, as they lie in LiST's repository: no two alike.
fn layout(task: &str) -> Option<Layout> {
    let layout = |folder, commas, train, test, small| Layout {
        folder,
        commas,
        train,
        test: ("test", test),
        small,
    };
    let single = (0, None, 1, false);
    let labelled = (1, None, 0, false);
    let pair = (1, Some(2), 3, true);
    let questions = (3, Some(4), 5, true);
    match task {
        "mnli" => Some(Layout {
            folder: "MNLI",
            commas: false,
            train: (2, Some(3), 4, false),
            // GLUE's own development set, whose last column is the label.
            test: ("test_matched", (8, Some(9), 15, true)),
            small: (1, Some(2), 4, true),
        }),
        "qqp" => Some(layout("QQP", false, questions, questions, questions)),
        "rte" => Some(layout("RTE", false, pair, pair, pair)),
        "sst2" => Some(layout("SST-2", false, single, (0, None, 1, true), single)),
        "subj" => Some(layout("subj", true, labelled, labelled, labelled)),
        "mpqa" => Some(layout("mpqa", true, labelled, labelled, labelled)),
        _ => None,
    }
}

/// Split `number` (from 1) of a task below `root`: its 30 training rows and its test rows.
///
/// # Errors
/// If the task has no such split, a file is missing, or a row cannot be understood.
pub fn list_split(task: &Task, root: &Path, number: usize) -> Result<(Rows, Rows), DataError> {
    let refuse = |message: String| DataError::Task {
        name: task.name.clone(),
        message,
    };
    let Some(layout) = layout(&task.name) else {
        return Err(refuse("LiST has no few-shot splits of it".into()));
    };
    if !(1..=SPLITS).contains(&number) {
        return Err(refuse(format!(
            "split {number} is not one of 1 to {SPLITS}"
        )));
    }
    let folder = root.join(layout.folder).join(format!("30-{number}"));
    let extension = if layout.commas { "csv" } else { "tsv" };
    let file = |name: &str| folder.join(format!("{name}.{extension}"));
    let train = read(task, &file("train"), layout.commas, layout.train)?;
    let (name, columns) = layout.test;
    let full = file(name);
    let test = if full.is_file() {
        read(task, &full, layout.commas, columns)?
    } else {
        read(task, &file("test_clue"), layout.commas, layout.small)?
    };
    Ok((train, test))
}

fn read(task: &Task, path: &Path, commas: bool, columns: Columns) -> Result<Rows, DataError> {
    let file = TextFile::read(path)?;
    let (first, second, label, heading) = columns;
    let needed = first.max(label).max(second.unwrap_or(0)) + 1;
    let mut examples = Vec::new();
    let lines = file.lines().filter(|(_, line)| !line.is_empty());
    for (id, (line, content)) in lines.skip(usize::from(heading)).enumerate() {
        let cells = if commas {
            comma_cells(content)
        } else {
            content.split('\t').map(str::to_owned).collect()
        };
        if cells.len() < needed {
            let message = format!(
                "found {} columns where {needed} are needed; repair or remove the line",
                cells.len()
            );
            return Err(file.row(line, message));
        }
        examples.push(Example {
            id: id as u32,
            first: cells[first].clone(),
            second: second.map(|at| cells[at].clone()),
            target: target(task, &cells[label], path, line)?,
        });
    }
    if examples.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(Rows {
        examples,
        hash: combine(&[file.hash]),
        files: vec![PathBuf::from(path)],
    })
}

/// The cells of a line, quoted where they hold commas (RFC 4180, one row a line).
fn comma_cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let cell = cells.last_mut().expect("there is a cell");
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_cells_hold_commas_and_quotes() {
        assert_eq!(
            comma_cells(r#"1,"a "" xxx "" b , c""#),
            ["1", r#"a " xxx " b , c"#]
        );
        assert_eq!(comma_cells("0,plain"), ["0", "plain"]);
    }

    #[test]
    fn the_full_test_set_of_mnli_goes_before_the_small_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("MNLI/30-1");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("train.tsv", "0\tx\tA man.\tA woman.\tneutral\n");
        write("test_clue.tsv", "i\ta\tb\tg\tl\n0\tsmall\ts\tg\tneutral\n");
        let row = |first: &str, label: &str| {
            let mut cells = vec!["-"; 16];
            (cells[8], cells[9], cells[15]) = (first, "second", label);
            cells.join("\t")
        };
        let full = [row("sentence1", "gold_label"), row("full", "contradiction")].join("\n");
        write("test_matched.tsv", &full);
        let task = Task::by_name("mnli").unwrap();
        let (_, test) = list_split(task, root.path(), 1).unwrap();
        let found = &test.examples[0];
        assert_eq!((test.examples.len(), found.first.as_str()), (1, "full"));
        assert_eq!(found.target.class(), task.class_of("contradiction"));
    }

    #[test]
    fn a_task_or_number_that_is_not_there_is_named() {
        let rte = Task::by_name("rte").unwrap();
        let error = |task, number| {
            list_split(task, Path::new("/nowhere"), number)
                .unwrap_err()
                .to_string()
        };
        assert!(error(rte, 6).contains("1 to 5"));
        assert!(error(Task::by_name("cola").unwrap(), 1).contains("no few-shot splits"));
    }
}
