//! Figure 5: the spread of random routing at inference, and the merged model.

use anyhow::Result;

use super::table14;
use crate::plot::{self, Panel, Violin, Violins};
use crate::report::Record;
use crate::report::document::{Cell, Document, Figure, Heading, Line, Origin};
use crate::report::published::Published;
use crate::reproduce::basis::Basis;
use crate::reproduce::columns::{Column, columns};
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::grid::{Grid, decimals};
use crate::reproduce::profile::Profile;
use crate::reproduce::view::{Reading, View};
use crate::reproduce::want::{Mode, Want};
use crate::statistics::Summary;
use crate::statistics::bootstrap::quantile;

/// Figure 5.
#[derive(Clone, Copy, Debug)]
pub struct Figure5;

/// The draws of a run.
struct Drawn<'a> {
    record: &'a Record,
    /// One a draw.
    scores: Vec<f64>,
    /// That of the merged model.
    merged: Option<f64>,
}

/// A task's column with its runs.
type OfTask<'a> = (Column, Vec<Drawn<'a>>);

impl Figure5 {
    /// The tasks with a draw, each with its runs.
    fn draws<'a>(view: &View<'a>, grid: &Grid) -> Result<Vec<OfTask<'a>>> {
        let tasks = grid.tasks(view.profile);
        let columns = columns(grid.table(), &tasks);
        let mut found = Vec::new();
        for want in grid.wants(view.profile)? {
            let column = columns.iter().find(|c| c.task == want.task);
            let Some(column) = column else { continue };
            let scale = f64::from(column.scale);
            let mut runs = Vec::new();
            for record in view.records_of(&want)? {
                let rule = view.rule(grid.published);
                let mode = record.modes.get(Mode::Random.name());
                let Some(mode) = mode.filter(|mode| mode.state == rule) else {
                    continue;
                };
                let scores = mode
                    .draws
                    .iter()
                    .filter_map(|d| d.metrics.get(&column.metric).copied().flatten());
                let scores: Vec<f64> = scores.map(|s| s * scale).collect();
                if scores.is_empty() {
                    // Such as a correlation of constant outputs.
                    continue;
                }
                let merged = Reading::Own.score(record, mode.state, &column.metric);
                runs.push(Drawn {
                    record,
                    scores,
                    merged: merged.map(|s| s * scale),
                });
            }
            if !runs.is_empty() {
                found.push((column.clone(), runs));
            }
        }
        Ok(found)
    }
}

impl Exhibit for Figure5 {
    fn name(&self) -> &'static str {
        "figure5"
    }

    fn title(&self) -> &'static str {
        "Random routing at inference, and the merged model"
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        let mut wants = table14::Table14.wants(profile)?;
        for want in &mut wants {
            want.modes = vec![Mode::Random];
        }
        Ok(wants)
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let mut lines = Vec::new();
        for name in ["figure5-bert", "figure5-roberta"] {
            let table = Published::get().table(name).expect("the published figure");
            for row in &table.rows {
                let cell = |key: &str| {
                    row.cells
                        .get(key)
                        .map_or(Cell::Empty, |v| Cell::number(*v, decimals(*v, 1)))
                };
                lines.push(Line {
                    key: row.key.clone(),
                    label: format!("{}, {}", row.label, table.base),
                    origin: Origin::Paper,
                    cells: vec![
                        cell("low"),
                        cell("widest"),
                        cell("high"),
                        cell("merged"),
                        Cell::Empty,
                    ],
                });
            }
        }
        let mut found = Vec::new();
        let grids = table14::grids(view.profile)?;
        for grid in &grids {
            // Where there is one model only, it needs no name.
            let model = match grids.len() {
                1 => String::new(),
                _ => format!(", {}", grid.table().base),
            };
            let draws = Self::draws(view, grid)?.into_iter();
            found.extend(draws.map(|(column, runs)| (format!("{}{model}", column.title), runs)));
        }
        for (task, runs) in found {
            for drawn in runs {
                let (seed, merged) = (drawn.record.seed(), drawn.merged);
                let mut scores = drawn.scores;
                scores.sort_by(f64::total_cmp);
                let mean = Summary::of(&scores).map_or(f64::NAN, |s| s.mean);
                let above = merged.map(|m| {
                    scores.iter().filter(|s| **s < m).count() as f64 / scores.len() as f64
                });
                let cells = [
                    Cell::number(quantile(&scores, 0.0), 1),
                    Cell::number(mean, 1),
                    Cell::number(quantile(&scores, 1.0), 1),
                    merged.map_or(Cell::Empty, |m| Cell::number(m, 1)),
                    above.map_or(Cell::Empty, |a| Cell::Text(format!("{:.0} %", 100.0 * a))),
                ];
                lines.push(Line {
                    key: format!("{task}-{seed}"),
                    label: format!("{task}, seed {seed}, {} draws", scores.len()),
                    origin: Origin::Ours,
                    cells: cells
                        .map(|cell| cell.resting_on([drawn.record.id.clone()]))
                        .into(),
                });
            }
        }
        let head = [
            ("low", "lowest"),
            ("middle", "widest (paper), mean (ours)"),
            ("high", "highest"),
            ("merged", "merged"),
            ("above", "draws below merged"),
        ];
        Ok(vec![Document {
            name: "figure5".to_owned(),
            title: format!("figure5: {}", self.title()),
            caption: vec![
                "Paper: read off the axes of figure 5; the number of draws is not known."
                    .to_owned(),
                format!(
                    "Ours: profile {}, the {} epoch; each draw sends every example through its own random modules.",
                    view.profile.name,
                    view.rule(table14::EXHIBIT.published).name()
                ),
            ],
            corner: "Task".to_owned(),
            head: head
                .iter()
                .map(|(key, title)| Heading::new(key, title))
                .collect(),
            lines,
        }])
    }

    fn figures(&self, view: &View<'_>) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for grid in table14::grids(view.profile)? {
            figures.extend(violins(view, &grid)?);
        }
        Ok(figures)
    }
}

/// The violins of an encoder; none without a draw.
fn violins(view: &View<'_>, grid: &Grid) -> Result<Option<Figure>> {
    let found = Figure5::draws(view, grid)?;
    if found.is_empty() {
        return Ok(None);
    }
    let runs = || found.iter().flat_map(|(_, runs)| runs);
    let draws = runs().map(|drawn| drawn.scores.len()).max().unwrap_or(0);
    let basis = Basis::measured(view.profile, runs().map(|drawn| drawn.record));
    let violin = |drawn: &Drawn<'_>| Violin {
        name: format!("seed {}", drawn.record.seed()),
        values: drawn.scores.clone(),
        mark: drawn.merged,
    };
    let violins = Violins {
        y_title: "score".to_owned(),
        panels: found
            .iter()
            .map(|(column, runs)| Panel {
                title: column.title.clone(),
                violins: runs.iter().map(violin).collect(),
            })
            .collect(),
        mark: "merged".to_owned(),
    };
    let caption = vec![format!(
        "Ours, {basis}: {draws} random draws a run, one violin a seed, the bar at their mean; {} epoch.",
        view.rule(grid.published).name()
    )];
    let (name, title) = match grid.published {
        "table14-roberta" => ("figure5-roberta", "Figure 5, ours, RoBERTa-large"),
        _ => ("figure5", "Figure 5, ours"),
    };
    let note = format!("{basis}; {draws} draws a run");
    plot::figure(&violins, name, title, caption, &note).map(Some)
}
