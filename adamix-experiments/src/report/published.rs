//! What the paper prints: `paper-results/published.toml`, read.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

static PUBLISHED: LazyLock<Published> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../paper-results/published.toml"))
        .expect("a test reads the published numbers")
});

/// Every published number that is known, with its source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// What each source tag means.
    pub sources: BTreeMap<String, String>,
    /// The tables and figures.
    #[serde(rename = "table")]
    pub tables: Vec<PublishedTable>,
    /// Where print and recomputation disagree.
    #[serde(rename = "slip")]
    pub slips: Vec<Slip>,
}

/// A table or figure of the paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTable {
    /// Its name on the command line.
    pub name: String,
    /// What the paper calls it.
    pub number: String,
    /// What it shows.
    pub title: String,
    /// The pretrained model.
    pub base: String,
    /// Where its cells are from, a key of [`Published::sources`].
    pub source: String,
    /// What a reader has to know.
    #[serde(default)]
    pub note: String,
    /// The column that is a mean of others.
    pub average: Option<Average>,
    /// What is measured.
    pub columns: Vec<PublishedColumn>,
    /// The methods, or the tasks of figure 5.
    pub rows: Vec<PublishedRow>,
}

/// A column that is a mean of others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// The column.
    pub column: String,
    /// What it is the mean of; tasks where the table does not print them.
    pub over: Vec<String>,
}

/// A column of a published table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedColumn {
    /// Its key in [`PublishedRow::cells`].
    pub key: String,
    /// Its heading.
    pub title: String,
    /// Which variant of a metric it is.
    pub metric: String,
}

/// A row of a published table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedRow {
    /// Its key.
    pub key: String,
    /// Its heading.
    pub label: String,
    /// The paper these numbers were copied from, where they are not the authors' own.
    pub from: Option<String>,
    /// The source of this row, where it is not the table's.
    pub source: Option<String>,
    /// The tuned parameters as printed.
    pub parameters: Option<String>,
    /// The adaptation's exact count when served, head excluded, where the architecture settles it.
    pub count: Option<usize>,
    /// The count of the sizes that the paper profile gives the row, where the paper prints no size but the count.
    pub planned: Option<usize>,
    /// The adaptation's exact count in training, head excluded.
    pub trained: Option<usize>,
    /// The numbers; what is absent is not printed or not known.
    #[serde(default)]
    pub cells: BTreeMap<String, f64>,
    /// The printed standard deviations.
    #[serde(default)]
    pub sd: BTreeMap<String, f64>,
}

/// A place where print and recomputation disagree, or where the text misleads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slip {
    /// The tables concerned.
    #[serde(default)]
    pub tables: Vec<String>,
    /// The rows concerned.
    #[serde(default)]
    pub rows: Vec<String>,
    /// The column, or `parameters`.
    pub column: Option<String>,
    /// What is printed (parameters in millions).
    pub printed: Option<f64>,
    /// What it comes to.
    pub recomputed: Option<f64>,
    /// In words.
    pub note: String,
}

impl Published {
    /// The file that the program carries.
    pub fn get() -> &'static Self {
        &PUBLISHED
    }

    /// A table by its name.
    pub fn table(&self, name: &str) -> Option<&PublishedTable> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The slips that touch a table.
    pub fn slips_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Slip> {
        self.slips
            .iter()
            .filter(move |slip| slip.tables.iter().any(|name| name == table))
    }
}

impl PublishedTable {
    /// A row by its key.
    pub fn row(&self, key: &str) -> Option<&PublishedRow> {
        self.rows.iter().find(|row| row.key == key)
    }

    /// Where its numbers are from, in words: the table's source, and that of the rows which have another.
    pub fn sources(&self) -> String {
        let known = &Published::get().sources;
        let mut others: Vec<(&str, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            let Some(source) = row.source.as_deref().filter(|s| *s != self.source) else {
                continue;
            };
            match others.iter_mut().find(|(other, _)| *other == source) {
                Some((_, rows)) => rows.push(&row.label),
                None => others.push((source, vec![&row.label])),
            }
        }
        let mut text = known[&self.source].clone();
        for (source, rows) in others {
            let rows = rows.join("”, “");
            text += &format!("; but of “{rows}”: {}", known[source]);
        }
        text
    }

    /// A cell by its row and column.
    pub fn cell(&self, row: &str, column: &str) -> Option<f64> {
        self.row(row)?.cells.get(column).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a slip excuses this place.
    fn slip<'a>(table: &'a str, row: &str, column: &str) -> Option<&'a Slip> {
        let touches = |slip: &&Slip| {
            slip.rows.iter().any(|r| r == row) && slip.column.as_deref() == Some(column)
        };
        Published::get().slips_of(table).find(touches)
    }

    #[test]
    fn keys_are_unique_and_every_source_is_explained() {
        let published = Published::get();
        let mut names: Vec<&str> = published.tables.iter().map(|t| t.name.as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for table in &published.tables {
            assert!(
                published.sources.contains_key(&table.source),
                "{}",
                table.name
            );
            let columns: Vec<&str> = table.columns.iter().map(|c| c.key.as_str()).collect();
            for row in &table.rows {
                let source = row.source.as_ref().unwrap_or(&table.source);
                assert!(published.sources.contains_key(source), "{source}");
                for key in row.cells.keys().chain(row.sd.keys()) {
                    assert!(columns.contains(&key.as_str()), "{} {key}", table.name);
                }
                assert!(
                    std::ptr::eq(table.row(&row.key).unwrap(), row),
                    "{}",
                    row.key
                );
            }
        }
        for slip in &published.slips {
            for name in &slip.tables {
                let table = published.table(name).expect("a slip names a table");
                assert!(
                    slip.rows.is_empty() || slip.rows.iter().any(|row| table.row(row).is_some()),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_row_of_another_source_is_told_of() {
        let sources = |name: &str| Published::get().table(name).unwrap().sources();
        let known = |key: &str| Published::get().sources[key].clone();
        assert_eq!(sources("table1"), known("figure"));
        let eight = sources("table8");
        let (all, rows) = eight.split_once("; but of ").unwrap();
        assert_eq!(all, known("memory-high"));
        assert_eq!(
            rows,
            format!("“Full fine-tuning”, “AdaMix”: {}", known("figure"))
        );
    }

    #[test]
    fn every_average_is_recomputed() {
        let mut checked = 0;
        for table in &Published::get().tables {
            let Some(average) = &table.average else {
                continue;
            };
            for row in &table.rows {
                let Some(printed) = row.cells.get(&average.column) else {
                    continue;
                };
                // Table 7 prints nothing else.
                if table.columns.len() == 1 {
                    continue;
                }
                let values: Vec<f64> = average.over.iter().map(|key| row.cells[key]).collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                // A printed digit may be rounded either way at a half.
                let agrees = (mean - printed).abs() <= 0.0501;
                match slip(&table.name, &row.key, &average.column) {
                    Some(slip) => {
                        assert!(!agrees, "{} {}: no slip here", table.name, row.key);
                        assert_eq!(slip.printed, Some(*printed));
                        assert!((slip.recomputed.unwrap() - mean).abs() < 0.006, "{mean}");
                    }
                    None => assert!(agrees, "{} {}: {mean} {printed}", table.name, row.key),
                }
                checked += 1;
            }
        }
        assert_eq!(checked, 7 + 8 + 7);
    }

    #[test]
    fn tables_agree_where_they_print_the_same_run() {
        let published = Published::get();
        let cell = |table: &str, row: &str, column: &str| {
            published.table(table).unwrap().cell(row, column).unwrap()
        };
        for column in ["mnli", "qnli", "sst2", "mrpc", "rte"] {
            let adamix = cell("table1", "adamix", column);
            assert_eq!(cell("table8", "adamix", column), adamix);
            assert_eq!(
                cell("table8", "full", column),
                cell("table1", "full", column)
            );
            assert_eq!(cell("table9", "m4", column), adamix);
            assert_eq!(cell("table10", "d16", column), adamix);
            assert_eq!(cell("figure5-roberta", column, "merged"), adamix);
            assert_eq!(cell("table14-roberta", "adamix", column), adamix);
            let bert = cell("table2", "adamix", column);
            assert_eq!(cell("table12", "d48", column), bert);
            assert_eq!(cell("table14", "adamix", column), bert);
            assert_eq!(cell("figure5-bert", column, "merged"), bert);
        }
        for (row, name) in [("full", "full"), ("adamix", "adamix")] {
            assert_eq!(cell("table7", row, "avg"), cell("table2", name, "avg"));
        }
        for row in &published.table("figure1").unwrap().rows {
            assert_eq!(
                row.cells["avg"],
                cell("table1", &row.key, "avg"),
                "{}",
                row.key
            );
        }
    }

    /// Parameters of `copies` bottleneck adapters of `width`, biases included.
    fn bottleneck(layers: usize, hidden: usize, width: usize, (down, up): (usize, usize)) -> usize {
        layers * (down * (hidden * width + width) + up * (width * hidden + hidden))
    }

    #[test]
    fn every_exact_count_follows_from_the_architecture() {
        let published = Published::get();
        let row = |table: &str, row: &str| published.table(table).unwrap().row(row).unwrap();
        let (roberta, bert, gpt2) = ((24, 1024), (12, 768), (24, 1024));
        let adapters = |(layers, hidden): (usize, usize), width, copies| {
            bottleneck(layers, hidden, width, copies)
        };
        // LoRA of rank 4 on q and v: A is [4, hidden], B is [hidden, 4].
        let lora = |experts: usize| 24 * 2 * (experts * 4 * 1024 + 1024 * 4);
        let mut expected = vec![
            (
                "table1",
                "adamix",
                adapters(roberta, 16, (1, 1)),
                Some(adapters(roberta, 16, (4, 1))),
            ),
            (
                "table2",
                "adamix",
                adapters(bert, 48, (1, 1)),
                Some(adapters(bert, 48, (4, 1))),
            ),
            ("table7", "adamix", adapters(bert, 48, (1, 1)), None),
            ("table7", "fixed", adapters(bert, 48, (1, 1)), None),
            ("table7", "random", adapters(bert, 48, (4, 4)), None),
            ("table7", "ensemble", adapters(bert, 48, (4, 4)), None),
            (
                "table8",
                "adamix",
                adapters(roberta, 16, (1, 1)),
                Some(adapters(roberta, 16, (4, 1))),
            ),
            (
                "table8",
                "no-consistency",
                adapters(roberta, 16, (1, 1)),
                Some(adapters(roberta, 16, (4, 1))),
            ),
            (
                "table8",
                "no-sharing",
                adapters(roberta, 16, (1, 1)),
                Some(adapters(roberta, 16, (4, 4))),
            ),
            ("table14", "adamix", adapters(bert, 48, (1, 1)), None),
            (
                "table14-roberta",
                "adamix",
                adapters(roberta, 16, (1, 1)),
                None,
            ),
        ];
        for (key, width) in [("d8", 8), ("d16", 16), ("d32", 32)] {
            expected.push(("table10", key, adapters(roberta, width, (1, 1)), None));
        }
        for (key, width) in [
            ("d8", 8),
            ("d16", 16),
            ("d32", 32),
            ("d48", 48),
            ("d64", 64),
        ] {
            expected.push(("table12", key, adapters(bert, width, (1, 1)), None));
        }
        for table in ["table3", "table4", "table5"] {
            expected.push((table, "lora-published", lora(1), None));
            expected.push((table, "lora", lora(1), None));
            expected.push((table, "adamix-lora", lora(1), Some(lora(8))));
            expected.push((
                table,
                "adamix-adapter",
                adapters(gpt2, 8, (1, 1)),
                Some(adapters(gpt2, 8, (8, 1))),
            ));
        }
        let with_count = published.tables.iter().flat_map(|t| &t.rows);
        assert_eq!(
            with_count.filter(|r| r.count.is_some()).count(),
            expected.len()
        );
        for (table, key, count, trained) in expected {
            let row = row(table, key);
            assert_eq!(row.count, Some(count), "{table} {key}");
            assert_eq!(row.trained, trained, "{table} {key}");
            let Some(printed) = &row.parameters else {
                continue;
            };
            // The printed count is the exact one, rounded to its digits, unless a slip says otherwise.
            let digits = printed
                .trim_end_matches('M')
                .split_once('.')
                .map_or(0, |(_, d)| d.len());
            let rounded = format!("{:.digits$}M", count as f64 / 1e6);
            match slip(table, key, "parameters") {
                Some(slip) => {
                    assert_ne!(&rounded, printed);
                    assert_eq!(slip.recomputed, Some(count as f64 / 1e6), "{table} {key}");
                    assert_eq!(
                        Some(slip.printed.unwrap()),
                        printed.trim_end_matches('M').parse().ok()
                    );
                }
                None => assert_eq!(&rounded, printed, "{table} {key}"),
            }
        }
    }

    #[test]
    fn the_headline_ratios_are_what_they_are_called() {
        // 444 is parameters; bytes are another ratio, with and without the head (f32).
        let adapters = bottleneck(24, 1024, 16, (1, 1));
        assert_eq!((355.0f64 / 0.8).round(), 444.0);
        // 1.42 GB is RoBERTa-large in f32: 355 million parameters of four bytes.
        let base = 1.42e9;
        assert_eq!((base / (4 * adapters) as f64).floor(), 437.0);
        let head = 1024 * 1024 + 1024 + 1024 * 3 + 3;
        let with_head = base / (4 * (adapters + head)) as f64;
        assert!((with_head - 190.0).abs() < 1.0, "{with_head}");
        // Relative and absolute gains of BERT-base.
        assert!((84.5f64 / 82.7 - 1.022).abs() < 5e-4 && (84.5f64 / 83.5 - 1.012).abs() < 5e-4);
    }
}
