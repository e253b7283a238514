//! A table of methods by tasks: the paper's rows, and ours beside them.

use anyhow::Result;

use super::columns::{Column, columns, heading, tasks};
use super::exhibit::Exhibit;
use super::methods::{self, Row};
use super::profile::Profile;
use super::view::{Reading, View};
use super::want::{Mode, Want};
use crate::report::document::{Cell, Document, Heading, Line, Origin, grouped};
use crate::report::published::{Published, PublishedRow, PublishedTable};
use crate::statistics::Summary;

/// A table of methods by tasks.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The published table that it stands beside.
    pub published: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Its rows: a key, and how the trained model is read.
    pub rows: &'static [(&'static str, Source)],
    /// Whether it has the mean over tasks.
    pub average: bool,
    /// What the caption says beside the usual.
    pub notes: &'static [&'static str],
}

/// Where a row's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Runs of its own.
    Runs,
    /// The runs of AdaMix, in another mode of inference.
    Mode(Mode),
}

impl Grid {
    /// The published table.
    pub fn table(&self) -> &'static PublishedTable {
        let table = Published::get().table(self.published);
        table.expect("a test looks every grid up")
    }

    /// The tasks under a profile.
    pub fn tasks(&self, profile: &Profile) -> Vec<String> {
        match profile
            .tasks
            .get(self.published)
            .or_else(|| profile.tasks.get("default"))
        {
            Some(named) => named.clone(),
            None => tasks(self.table()),
        }
    }

    /// The rows under a profile.
    pub fn rows(&self, profile: &Profile) -> Result<Vec<(Row, Label, Source)>> {
        let own = self.rows.iter().map(|(key, source)| (*key, *source));
        let named: Vec<(&str, Source)> = match profile.rows.get(self.published) {
            None => own.collect(),
            Some(names) => {
                let source = |name: &str| {
                    let known = self.rows.iter().find(|(key, _)| *key == name);
                    known.map_or(Source::Runs, |(_, source)| *source)
                };
                names
                    .iter()
                    .map(|name| (name.as_str(), source(name)))
                    .collect()
            }
        };
        named
            .into_iter()
            .map(|(key, source)| {
                let published = self.table().row(key).map(|p| p.label.as_str());
                let (row, ours) = match source {
                    Source::Runs => (methods::row(key)?, None),
                    Source::Mode(_) => (methods::row("adamix")?, published),
                };
                let label = Label {
                    key: key.to_owned(),
                    ours: ours.unwrap_or(row.label).to_owned(),
                };
                Ok((row, label, source))
            })
            .collect()
    }

    /// The runs of a row on a task.
    pub fn want(&self, row: Row, task: &str) -> Want {
        Want {
            exhibit: self.published.to_owned(),
            base: self.table().base.clone(),
            row,
            task: task.to_owned(),
            modes: Vec::new(),
            traced: false,
        }
    }

    fn paper_line(&self, row: &PublishedRow, columns: &[Column]) -> Line {
        let printed = |column: &Column| match row.cells.get(&column.key) {
            Some(value) => Cell::Number {
                value: *value,
                digits: decimals(*value, column.printed),
                sd: row.sd.get(&column.key).copied(),
            },
            None => Cell::Empty,
        };
        let mut cells = vec![row.parameters.clone().map_or(Cell::Empty, Cell::Text)];
        cells.extend(columns.iter().map(printed));
        if self.average {
            let average = row.cells.get("avg").copied();
            cells.push(average.map_or(Cell::Empty, |value| Cell::number(value, 1)));
        }
        let label = match &row.from {
            Some(from) => format!("{} ({from})", row.label),
            None => row.label.clone(),
        };
        Line {
            key: row.key.clone(),
            label,
            origin: Origin::Paper,
            cells,
        }
    }

    fn our_line(
        &self,
        view: &View<'_>,
        (row, label, source): &(Row, Label, Source),
        columns: &[Column],
        tasks: &[String],
    ) -> Result<Line> {
        let reading = match source {
            Source::Runs => Reading::Own,
            Source::Mode(mode) => Reading::In(*mode),
        };
        let mut cells = Vec::new();
        let mut parameters = Cell::NotRun;
        let mut means = Vec::new();
        let mut averaged = Vec::new();
        for column in columns {
            if !tasks.contains(&column.task) {
                cells.push(Cell::Empty);
                continue;
            }
            let want = self.want(*row, &column.task);
            let cell = view.cell(&want, column, reading)?;
            if parameters == Cell::NotRun {
                parameters = match (source, view.parameters(&want)?) {
                    // What is not merged serves more than the merged count.
                    (Source::Mode(Mode::Random | Mode::Ensemble), Cell::Count(_)) => {
                        Cell::Text("all experts".to_owned())
                    }
                    (_, counted) => counted,
                };
                let runs = view.records_of(&want)?.into_iter();
                parameters = parameters.resting_on(runs.map(|run| run.id.clone()));
            }
            if self.counts_in_average(column)
                && let Cell::Measured(measured) = &cell
            {
                means.push(measured.summary.mean);
                averaged.extend(measured.runs.iter().cloned());
            }
            cells.push(cell);
        }
        cells.insert(0, parameters);
        if self.average {
            let wanted = columns
                .iter()
                .filter(|c| tasks.contains(&c.task) && self.counts_in_average(c));
            cells.push(if means.len() == wanted.count() {
                let mean = Summary::of(&means).map(|s| Cell::number(s.mean, 1));
                mean.unwrap_or(Cell::NotRun).resting_on(averaged)
            } else {
                Cell::NotRun
            });
        }
        Ok(Line {
            key: label.key.clone(),
            label: label.ours.clone(),
            origin: Origin::Ours,
            cells,
        })
    }

    /// Whether a column is one of those that the paper averages, or of a task that the paper does not have.
    fn counts_in_average(&self, column: &Column) -> bool {
        let table = self.table();
        match &table.average {
            Some(average) if table.columns.iter().any(|c| c.key == column.key) => {
                average.over.contains(&column.key)
            }
            _ => true,
        }
    }

    /// Which rows have an assumed learning rate.
    fn unsearched(&self, view: &View<'_>, tasks: &[String]) -> Result<Option<String>> {
        let Some(task) = tasks.first() else {
            return Ok(None);
        };
        let (mut searched, mut known, mut assumed) = (false, false, Vec::new());
        for (row, label, source) in self.rows(view.profile)? {
            if source != Source::Runs {
                continue;
            }
            let want = self.want(row, task);
            if view.rate_is_assumed(&want)? {
                assumed.push(label.ours);
                continue;
            }
            known = true;
            let settings = view.profile.settings(want.place(), 1)?;
            let source = settings.sources.get("optimizer.learning_rate");
            searched |= source.is_some_and(|source| source.starts_with("search"));
        }
        Ok(match (assumed.is_empty(), known, searched) {
            (true, ..) => None,
            (false, false, _) => {
                Some("All learning rates are assumed: nobody searched for them.".to_owned())
            }
            (false, true, searched) => Some(format!(
                "Learning rate and epochs are assumed, not searched, for {}{}.",
                assumed.join(", "),
                if searched {
                    ": no fair comparison with the others"
                } else {
                    ""
                }
            )),
        })
    }

    /// The rows that the records of a task were trained on and measured on.
    fn sizes(&self, view: &View<'_>, tasks: &[String]) -> Result<Vec<String>> {
        let mut sizes = Vec::new();
        for task in tasks {
            let mut found = None;
            for (row, _, source) in self.rows(view.profile)? {
                if source == Source::Runs && found.is_none() {
                    found = view.records_of(&self.want(row, task))?.into_iter().next();
                }
            }
            let Some(record) = found else {
                continue;
            };
            let rows = |split: &str| record.rows.get(split).copied();
            let measured = rows("test").or_else(|| rows("dev"));
            if let (Some(train), Some(measured)) = (rows("train"), measured) {
                sizes.push(format!(
                    "{} {} and {}",
                    heading(task),
                    grouped(train),
                    grouped(measured)
                ));
            }
        }
        Ok(sizes)
    }

    /// The lines of a caption.
    fn caption(&self, view: &View<'_>) -> Result<Vec<String>> {
        let table = self.table();
        let published = Published::get();
        let mut caption = vec![format!(
            "Paper: {}, {}; source of its numbers: {}. {}",
            table.number,
            table.title,
            table.sources(),
            table.note
        )];
        for slip in published.slips_of(self.published) {
            caption.push(format!("Slip in print: {}", slip.note));
        }
        if self.tasks(view.profile).is_empty() {
            caption.push("Not planned in this profile.".to_owned());
            return Ok(caption);
        }
        let tasks = self.tasks(view.profile);
        let mut wants = Vec::new();
        for (row, _, source) in self.rows(view.profile)? {
            if source == Source::Runs {
                wants.extend(tasks.iter().map(|task| self.want(row, task)));
            }
        }
        let (mut done, mut planned) = (0, 0);
        for want in &wants {
            planned += view.planned(want)?;
            done += view.records_of(want)?.len();
        }
        let columns = columns(table, &tasks);
        let sizes = self.sizes(view, &tasks)?;
        let rows = match sizes.is_empty() {
            true => String::new(),
            false => format!(" Rows trained on and measured on: {}.", sizes.join(", ")),
        };
        caption.push(format!(
            "Ours: profile {}, on {}, {done} of {planned} runs done.{rows} Mean ± standard deviation over seeds; in brackets the 95 % bootstrap interval over seeds and examples, of a single run over examples alone; t-intervals are in the CSV. {} #Param of ours is the adaptation as served and what is trained of the base; heads are not counted.",
            view.profile.name,
            view.models(&wants)?.join(" and "),
            view.rule(self.published).caption()
        ));
        if self.average {
            let averaged: Vec<&str> = (columns.iter())
                .filter(|c| tasks.contains(&c.task) && self.counts_in_average(c))
                .map(|c| c.title.as_str())
                .collect();
            let published = table
                .average
                .as_ref()
                .map_or(0, |average| average.over.len());
            if averaged.len() != published {
                caption.push(format!(
                    "Avg. of ours is over {} alone: it is not to be set against the paper's.",
                    averaged.join(", ")
                ));
            }
        }
        caption.extend(self.unsearched(view, &tasks)?);
        caption.extend(self.notes.iter().map(|note| (*note).to_owned()));
        Ok(caption)
    }
}

/// What a row is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its heading.
    pub ours: String,
}

/// The decimals of a printed number: its own, and at least those of its column.
pub(super) fn decimals(value: f64, least: usize) -> usize {
    let text = value.to_string();
    let own = text
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    own.max(least)
}

impl Exhibit for Grid {
    fn name(&self) -> &'static str {
        self.published
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        let mut wants: Vec<Want> = Vec::new();
        for (row, _, source) in self.rows(profile)? {
            for task in self.tasks(profile) {
                let mut want = self.want(row, &task);
                if let Source::Mode(mode) = source {
                    want.modes.push(mode);
                }
                match wants
                    .iter_mut()
                    .find(|w| w.row == want.row && w.task == want.task)
                {
                    Some(known) => known.modes.append(&mut want.modes),
                    None => wants.push(want),
                }
            }
        }
        Ok(wants)
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let tasks = self.tasks(view.profile);
        let columns = columns(self.table(), &tasks);
        let mut lines: Vec<Line> = Vec::new();
        // Without a task nothing of ours is planned: no row could ever be filled.
        let ours = match tasks.is_empty() {
            true => Vec::new(),
            false => self.rows(view.profile)?,
        };
        for row in &self.table().rows {
            lines.push(self.paper_line(row, &columns));
            if let Some(found) = ours.iter().find(|(_, label, _)| label.key == row.key) {
                lines.push(self.our_line(view, found, &columns, &tasks)?);
            }
        }
        for found in &ours {
            if self.table().row(&found.1.key).is_none() {
                lines.push(self.our_line(view, found, &columns, &tasks)?);
            }
        }
        let mut head = vec![Heading::new("parameters", "#Param")];
        head.extend(columns.iter().map(|c| Heading::new(&c.key, &c.title)));
        if self.average {
            head.push(Heading::new("avg", "Avg."));
        }
        Ok(vec![Document {
            name: self.published.to_owned(),
            title: format!("{}: {}", self.published, self.title),
            caption: self.caption(view)?,
            corner: "Method".to_owned(),
            head,
            lines,
        }])
    }
}
