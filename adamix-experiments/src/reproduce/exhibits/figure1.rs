//! Figure 1: mean score against tuned parameters; the paper's points and ours.

use anyhow::Result;

use super::table1;
use crate::plot::{self, Point, Scatter};
use crate::report::document::{Cell, Document, Figure, Origin};
use crate::report::published::Published;
use crate::reproduce::basis::Basis;
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::View;
use crate::reproduce::want::Want;

/// Figure 1.
#[derive(Clone, Copy, Debug)]
pub struct Figure1;

impl Exhibit for Figure1 {
    fn name(&self) -> &'static str {
        "figure1"
    }

    fn title(&self) -> &'static str {
        "Mean score against tuned parameters"
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        table1::EXHIBIT.wants(profile)
    }

    fn documents(&self, _: &View<'_>) -> Result<Vec<Document>> {
        Ok(Vec::new())
    }

    fn figures(&self, view: &View<'_>) -> Result<Vec<Figure>> {
        let mut figures = vec![published()?];
        let tables = table1::EXHIBIT.documents(view)?;
        let grid = table1::EXHIBIT;
        let rows = grid.rows(view.profile)?;
        let mut points = Vec::new();
        let mut records = Vec::new();
        let mut seeds = 0;
        for line in tables.iter().flat_map(|t| &t.lines) {
            let value = |cell: Option<&Cell>| cell.and_then(Cell::sort_key);
            let (Some(x), Some(y)) = (value(line.cells.first()), value(line.cells.last())) else {
                continue;
            };
            let row = rows.iter().find(|(_, label, _)| label.key == line.key);
            let (Origin::Ours, Some((row, ..))) = (line.origin, row) else {
                continue;
            };
            points.push(Point {
                name: line.label.clone(),
                x,
                y,
                interval: None,
            });
            for task in grid.tasks(view.profile) {
                let found = view.records_of(&grid.want(*row, &task))?;
                seeds = seeds.max(found.len());
                records.extend(found);
            }
        }
        if points.len() > 1 {
            let basis = Basis::measured(view.profile, records);
            let line = points
                .iter()
                .find(|p| p.name == "Full fine-tuning")
                .map(|p| (p.name.clone(), p.y));
            let scatter = Scatter {
                x_title: "tuned parameters, as served".to_owned(),
                y_title: "mean score".to_owned(),
                points: points
                    .into_iter()
                    .filter(|p| p.name != "Full fine-tuning")
                    .collect(),
                line,
            };
            let caption = vec![format!(
                "Ours, {basis}: mean over tasks; up to {seeds} seeds a point; heads are not counted. {}",
                view.rule(table1::EXHIBIT.published).caption()
            )];
            figures.push(plot::figure(
                &scatter,
                "figure1",
                "Figure 1, ours",
                caption,
                &basis.to_string(),
            )?);
        }
        Ok(figures)
    }
}

/// The paper's own points.
fn published() -> Result<Figure> {
    let table = Published::get()
        .table("figure1")
        .expect("the published figure");
    // RoBERTa-large has 355 million parameters.
    let point = |row: &crate::report::published::PublishedRow| Point {
        name: row.label.clone(),
        x: row.cells["percent"] / 100.0 * 355e6,
        y: row.cells["avg"],
        interval: None,
    };
    let (full, others): (Vec<_>, Vec<_>) = table.rows.iter().partition(|row| row.key == "full");
    let scatter = Scatter {
        x_title: "tuned parameters".to_owned(),
        y_title: "GLUE average".to_owned(),
        points: others.into_iter().map(point).collect(),
        line: full
            .first()
            .map(|row| (row.label.clone(), row.cells["avg"])),
    };
    let caption = vec![format!(
        "The paper's figure, RoBERTa-large, no run of ours, the same in every profile: shares read off its axis ({}). The figure names neither seeds nor rows.",
        Published::get().sources[&table.source]
    )];
    // Neither rows nor seeds are printed beside the paper's figure.
    let note = "the paper's numbers on RoBERTa-large, no run of ours";
    plot::figure(
        &scatter,
        "figure1-paper",
        "Figure 1, the paper's",
        caption,
        note,
    )
}
