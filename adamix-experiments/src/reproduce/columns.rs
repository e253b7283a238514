//! From the columns of published tables to tasks and metrics.

use crate::report::published::{Published, PublishedTable};

/// What a column measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The published key, or the task where the paper has no such column.
    pub key: String,
    /// Its heading.
    pub title: String,
    /// The task.
    pub task: String,
    /// The metric's name in records.
    pub metric: String,
    /// What a record's value is multiplied by.
    pub scale: u32,
    /// Decimals of ours.
    pub digits: usize,
    /// Least decimals of the paper's.
    pub printed: usize,
}

/// The metrics of generated text: name in published columns, factor, decimals as printed.
const TEXT: [(&str, u32, usize); 6] = [
    ("bleu", 100, 1),
    ("nist", 1, 2),
    ("meteor", 100, 1),
    ("rouge_l", 100, 1),
    ("cider", 1, 2),
    ("ter", 1, 2),
];

/// The column of a key; none for averages, shares and the like. `generated` is the task of a table of generated text.
fn column(key: &str, title: &str, generated: Option<&str>) -> Option<Column> {
    if let Some(task) = generated {
        let (_, mut scale, printed) = TEXT.into_iter().find(|(name, ..)| *name == key)?;
        if key == "bleu" && task != "e2e" {
            // Moses' script prints BLEU between 0 and 100.
            scale = 1;
        }
        return Some(Column {
            key: key.to_owned(),
            title: title.to_owned(),
            task: task.to_owned(),
            metric: key.to_owned(),
            scale,
            digits: 2,
            printed,
        });
    }
    let (task, metric) = match key {
        "avg" | "percent" | "low" | "high" | "widest" | "merged" => return None,
        "qqp_f1" | "mrpc_f1" => (key.trim_end_matches("_f1"), "f1"),
        "cola" => ("cola", "matthews_correlation"),
        "stsb" => ("stsb", "pearson"),
        task => (task, "accuracy"),
    };
    Some(Column {
        key: key.to_owned(),
        title: title.to_owned(),
        task: task.to_owned(),
        metric: metric.to_owned(),
        scale: 100,
        digits: 1,
        printed: 1,
    })
}

/// The task of a table of generated text.
fn generated(table: &PublishedTable) -> Option<&'static str> {
    match table.name.as_str() {
        "table3" => Some("e2e"),
        "table4" => Some("dart"),
        "table5" => Some("webnlg"),
        _ => None,
    }
}

/// What the paper's tables call a column or a task; its key where they have none such.
pub fn heading(key: &str) -> &str {
    let mut columns = Published::get().tables.iter().flat_map(|t| &t.columns);
    match columns.find(|column| column.key == key) {
        Some(column) => &column.title,
        // Tables of generated text have measures as columns.
        None => match key {
            "e2e" => "E2E",
            "webnlg" => "WebNLG",
            "dart" => "DART",
            _ => key,
        },
    }
}

/// The columns of a published table, and those of further tasks that the paper does not have.
pub fn columns(table: &PublishedTable, tasks: &[String]) -> Vec<Column> {
    let generated = generated(table);
    let mut found: Vec<Column> = table
        .columns
        .iter()
        .filter_map(|c| column(&c.key, &c.title, generated))
        .collect();
    for task in tasks {
        if found.iter().all(|c| c.task != *task) {
            // Table 7 prints averages alone; those are over F1 where table 2 has it.
            let by_f1 = table.name == "table7" && ["qqp", "mrpc"].contains(&task.as_str());
            let key = match by_f1 {
                true => format!("{task}_f1"),
                false => task.clone(),
            };
            found.extend(column(&key, heading(&key), None));
        }
    }
    found
}

/// The tasks of a published table, in its order.
pub fn tasks(table: &PublishedTable) -> Vec<String> {
    let mut tasks: Vec<String> = Vec::new();
    for column in columns(table, &[]) {
        if !tasks.contains(&column.task) {
            tasks.push(column.task);
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Published;

    #[test]
    fn published_columns_are_tasks_and_metrics() {
        let table = |name: &str| Published::get().table(name).unwrap();
        let tasks1 = tasks(table("table1"));
        assert_eq!(
            tasks1,
            ["mnli", "qnli", "sst2", "qqp", "mrpc", "cola", "rte", "stsb"]
        );
        let further = columns(
            table("table1"),
            &["mrpc".to_owned(), "synthetic".to_owned()],
        );
        assert_eq!(further.len(), 11);
        let metric = |key: &str| {
            let column = further.iter().find(|c| c.key == key).unwrap();
            (column.task.as_str(), column.metric.as_str())
        };
        assert_eq!(metric("mrpc_f1"), ("mrpc", "f1"));
        assert_eq!(metric("stsb"), ("stsb", "pearson"));
        assert_eq!(metric("synthetic"), ("synthetic", "accuracy"));
        let named = ["mrpc", "stsb", "synthetic"].map(str::to_owned);
        let seven = columns(table("table7"), &named);
        let seven: Vec<(&str, &str)> = seven
            .iter()
            .map(|c| (c.title.as_str(), c.metric.as_str()))
            .collect();
        let expected = [
            ("MRPC F1", "f1"),
            ("STS-B", "pearson"),
            ("synthetic", "accuracy"),
        ];
        assert_eq!(seven, expected);
        assert_eq!(tasks(table("table5")), ["webnlg"]);
        assert_eq!(columns(table("table3"), &[]).len(), 5);
    }
}
