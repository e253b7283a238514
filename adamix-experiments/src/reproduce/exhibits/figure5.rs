//! Figure 5: the spread of random routing at inference, and the merged model.

use anyhow::Result;

use super::table14;
use crate::plot::{self, Panel, Violin, Violins};
use crate::report::document::{Cell, Document, Figure, Heading, Line, Origin};
use crate::report::published::Published;
use crate::reproduce::columns::columns;
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

/// The draws of a run: its seed, a score each, and the merged score.
type Draws = (u64, Vec<f64>, Option<f64>);

impl Figure5 {
    /// The tasks, each with the number of rows that its runs are measured on.
    fn rows(view: &View<'_>, grid: &Grid) -> Result<String> {
        let mut found = Vec::new();
        for want in grid.wants(view.profile)? {
            let records = view.records_of(&want)?;
            let gold = records.first().and_then(|record| view.gold(record));
            found.extend(gold.map(|gold| format!("{} {}", want.task, gold.targets().len())));
        }
        Ok(found.join(", "))
    }

    /// The tasks with a draw, each with its runs.
    fn draws(view: &View<'_>, grid: &Grid) -> Result<Vec<(String, Vec<Draws>)>> {
        let tasks = grid.tasks(view.profile);
        let columns = columns(grid.table(), &tasks);
        let mut found = Vec::new();
        for want in grid.wants(view.profile)? {
            let column = columns.iter().find(|c| c.task == want.task);
            let Some(column) = column else { continue };
            let scale = f64::from(column.scale);
            let mut runs = Vec::new();
            for record in view.records_of(&want)? {
                let Some(mode) = record.modes.get(Mode::Random.name()) else {
                    continue;
                };
                let scores = mode
                    .draws
                    .iter()
                    .filter_map(|d| d.metrics.get(&column.metric).copied().flatten());
                let merged = Reading::Own.score(record, mode.state, &column.metric);
                runs.push((
                    record.seed(),
                    scores.map(|s| s * scale).collect(),
                    merged.map(|s| s * scale),
                ));
            }
            if !runs.is_empty() {
                found.push((column.title.clone(), runs));
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
            found.extend(draws.map(|(task, runs)| (format!("{task}{model}"), runs)));
        }
        for (task, runs) in found {
            for (seed, mut scores, merged) in runs {
                scores.sort_by(f64::total_cmp);
                let mean = Summary::of(&scores).map_or(f64::NAN, |s| s.mean);
                let above = merged.map(|m| {
                    scores.iter().filter(|s| **s < m).count() as f64 / scores.len() as f64
                });
                lines.push(Line {
                    key: format!("{task}-{seed}"),
                    label: format!("{task}, seed {seed}, {} draws", scores.len()),
                    origin: Origin::Ours,
                    cells: vec![
                        Cell::number(quantile(&scores, 0.0), 1),
                        Cell::number(mean, 1),
                        Cell::number(quantile(&scores, 1.0), 1),
                        merged.map_or(Cell::Empty, |m| Cell::number(m, 1)),
                        above.map_or(Cell::Empty, |a| Cell::Text(format!("{:.0} %", 100.0 * a))),
                    ],
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
    let draws = found
        .iter()
        .flat_map(|(_, runs)| runs)
        .map(|(_, s, _)| s.len())
        .max();
    let violin = |(seed, values, mark): &Draws| Violin {
        name: format!("seed {seed}"),
        values: values.clone(),
        mark: *mark,
    };
    let violins = Violins {
        y_title: "score".to_owned(),
        panels: found
            .iter()
            .map(|(title, runs)| Panel {
                title: title.clone(),
                violins: runs.iter().map(violin).collect(),
            })
            .collect(),
        mark: "merged".to_owned(),
    };
    let caption = vec![format!(
        "Ours, profile {}: {} random draws a run, one violin a seed, the bar at their mean; rows: {}; {} epoch.",
        view.profile.name,
        draws.unwrap_or(0),
        Figure5::rows(view, grid)?,
        view.rule(grid.published).name()
    )];
    let (name, title) = match grid.published {
        "table14-roberta" => ("figure5-roberta", "Figure 5, ours, RoBERTa-large"),
        _ => ("figure5", "Figure 5, ours"),
    };
    Ok(Some(plot::figure(&violins, name, title, caption)?))
}
