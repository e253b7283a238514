//! A table of the paper, ours beside it, before it becomes Markdown, CSV, LaTeX or HTML.

use super::printed;
use crate::statistics::{Interval, Summary};

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its name on the command line and in file names.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What a reader has to know, one sentence or more an item.
    pub caption: Vec<String>,
    /// Heading of the first column.
    pub corner: String,
    /// Headings of the others.
    pub head: Vec<Heading>,
    /// The rows.
    pub lines: Vec<Line>,
}

/// A column's heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// A key for the CSV.
    pub key: String,
    /// What is printed.
    pub title: String,
}

impl Heading {
    /// A heading.
    pub fn new(key: &str, title: &str) -> Self {
        Self {
            key: key.to_owned(),
            title: title.to_owned(),
        }
    }
}

/// Whose numbers a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Printed in the paper.
    Paper,
    /// Measured here.
    Ours,
    /// Neither: settings, counts.
    Plain,
}

impl Origin {
    /// In the CSV.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Ours => "ours",
            Self::Plain => "plain",
        }
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// A key for the CSV.
    pub key: String,
    /// Its heading.
    pub label: String,
    /// Whose numbers.
    pub origin: Origin,
    /// One a column.
    pub cells: Vec<Cell>,
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing belongs here, or the paper prints nothing.
    Empty,
    /// Words.
    Text(String),
    /// A published or counted number, as it is printed.
    Number {
        /// The number.
        value: f64,
        /// Decimals.
        digits: usize,
        /// A published standard deviation.
        sd: Option<f64>,
    },
    /// A whole number, grouped by thousands.
    Count(usize),
    /// Our own.
    Measured(Measured),
    /// What was computed from runs of ours, with their ids.
    Linked {
        /// What is printed.
        cell: Box<Cell>,
        /// Ids of the runs.
        runs: Vec<String>,
    },
    /// Planned, and not run yet.
    NotRun,
}

/// A number of ours, with what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Over seeds.
    pub summary: Summary,
    /// The bootstrap interval over seeds and examples.
    pub bootstrap: Option<Interval>,
    /// The same under the other rule of selection, for the CSV: its name and mean.
    pub other: Option<(&'static str, f64)>,
    /// Decimals.
    pub digits: usize,
    /// Ids of the runs.
    pub runs: Vec<String>,
    /// Seeds that are planned.
    pub planned: usize,
}

/// A picture, drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name in file names.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What a reader has to know: n, seeds, profile.
    pub caption: Vec<String>,
    /// SVG on white.
    pub light: String,
    /// SVG on dark.
    pub dark: String,
    /// PNG on white and on dark.
    pub pixels: [Vec<u8>; 2],
}

impl Measured {
    /// The mean.
    pub fn mean(&self) -> String {
        format!("{:.*}", self.digits, self.summary.mean)
    }

    /// `± sd`, and how many runs if they are not those that were planned.
    pub fn spread(&self) -> String {
        let mut text = match self.summary.sd {
            Some(sd) => format!("± {sd:.*}", self.digits),
            None => "(1 run)".to_owned(),
        };
        let n = self.summary.n;
        if n > 1 && n < self.planned {
            text += &format!(" ({n} of {} runs)", self.planned);
        }
        text
    }

    /// `[low, high]`.
    pub fn range(&self) -> Option<String> {
        self.bootstrap
            .map(|i| format!("[{:.2$}, {:.2$}]", i.low, i.high, self.digits))
    }
}

impl Cell {
    /// A published number.
    pub fn number(value: f64, digits: usize) -> Self {
        Self::Number {
            value,
            digits,
            sd: None,
        }
    }

    /// The cell with the runs that it rests on, each once. What shows nothing rests on none.
    pub fn resting_on(self, runs: impl IntoIterator<Item = String>) -> Self {
        let mut once: Vec<String> = Vec::new();
        for run in runs {
            if !once.contains(&run) {
                once.push(run);
            }
        }
        if once.is_empty() || matches!(self, Self::Empty | Self::NotRun) {
            return self;
        }
        Self::Linked {
            cell: Box::new(self),
            runs: once,
        }
    }

    /// What every format prints, `±` and all.
    pub fn text(&self) -> String {
        match self {
            Self::Empty => "–".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Number { value, digits, sd } => match sd {
                Some(sd) => format!("{value:.digits$} ± {sd:.digits$}"),
                None => format!("{value:.digits$}"),
            },
            Self::Count(count) => grouped(*count),
            Self::Measured(measured) => {
                let mut text = format!("{} {}", measured.mean(), measured.spread());
                if let Some(range) = measured.range() {
                    text += &format!(" {range}");
                }
                text
            }
            Self::Linked { cell, .. } => cell.text(),
            Self::NotRun => "not run".to_owned(),
        }
    }

    /// What a column is sorted by; none of words.
    pub fn sort_key(&self) -> Option<f64> {
        match self {
            Self::Number { value, .. } => Some(*value),
            Self::Count(count) => Some(*count as f64),
            Self::Measured(measured) => Some(measured.summary.mean),
            Self::Linked { cell, .. } => cell.sort_key(),
            Self::Text(text) => printed::value(text),
            Self::Empty | Self::NotRun => None,
        }
    }
}

/// `811392` as `811,392`.
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A table with a cell of every kind.
    pub(crate) fn example() -> Document {
        let measured = Measured {
            summary: Summary::of(&[81.25, 80.5, 82.0]).unwrap(),
            bootstrap: Some(Interval {
                low: 79.0,
                high: 83.456,
            }),
            other: Some(("best", 81.5)),
            digits: 1,
            runs: vec!["aa".into(), "bb".into(), "cc".into()],
            planned: 5,
        };
        let line = |key: &str, label: &str, origin, cells| Line {
            key: key.to_owned(),
            label: label.to_owned(),
            origin,
            cells,
        };
        Document {
            name: "table1".into(),
            title: "GLUE & co".into(),
            caption: vec!["Three seeds.".into()],
            corner: "Method".into(),
            head: vec![
                Heading::new("mrpc", "MRPC"),
                Heading::new("rte", "RTE | acc"),
            ],
            lines: vec![
                line(
                    "adamix",
                    "AdaMix",
                    Origin::Paper,
                    vec![
                        Cell::Number {
                            value: 91.9,
                            digits: 1,
                            sd: Some(0.2),
                        },
                        Cell::Empty,
                    ],
                ),
                line(
                    "adamix",
                    "AdaMix_ours",
                    Origin::Ours,
                    vec![Cell::Measured(measured), Cell::NotRun],
                ),
                line(
                    "counts",
                    "100 %",
                    Origin::Plain,
                    vec![Cell::Count(811_392), Cell::Text("a, \"b\" <c>".into())],
                ),
            ],
        }
    }

    #[test]
    fn what_is_not_run_is_never_a_number() {
        let document = example();
        let texts: Vec<String> = document
            .lines
            .iter()
            .flat_map(|l| &l.cells)
            .map(Cell::text)
            .collect();
        assert_eq!(
            texts,
            [
                "91.9 ± 0.2",
                "–",
                "81.2 ± 0.8 (3 of 5 runs) [79.0, 83.5]",
                "not run",
                "811,392",
                "a, \"b\" <c>"
            ]
        );
        assert_eq!(Cell::NotRun.sort_key(), None);
    }

    #[test]
    fn what_rests_on_runs_is_printed_and_sorted_as_without_them() {
        let runs = || ["aa", "bb", "aa"].map(str::to_owned);
        let cell = Cell::Count(36_864).resting_on(runs());
        assert_eq!(
            (cell.text(), cell.sort_key()),
            ("36,864".to_owned(), Some(36_864.0))
        );
        let Cell::Linked { runs: kept, .. } = cell else {
            panic!("{cell:?}");
        };
        assert_eq!(kept, ["aa", "bb"]);
        assert_eq!(Cell::NotRun.resting_on(runs()), Cell::NotRun);
        assert_eq!(Cell::Empty.resting_on(runs()), Cell::Empty);
        assert_eq!(Cell::Count(1).resting_on([]), Cell::Count(1));
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(
            [0, 999, 1000, 811_392].map(grouped),
            ["0", "999", "1,000", "811,392"]
        );
    }
}
