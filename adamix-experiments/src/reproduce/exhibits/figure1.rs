//! Figure 1: mean score against tuned parameters; the paper's points and ours.

use anyhow::Result;

use super::table1;
use crate::plot::{self, Point, Scatter};
use crate::report::document::{Cell, Document, Figure};
use crate::report::published::Published;
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
        let mut points = Vec::new();
        let mut runs = 0;
        for line in tables.iter().flat_map(|t| &t.lines) {
            let ours = line.origin == crate::report::Origin::Ours;
            let (Some(Cell::Count(x)), Some(Cell::Number { value: y, .. })) =
                (line.cells.first(), line.cells.last())
            else {
                continue;
            };
            if ours {
                points.push(Point {
                    name: line.label.clone(),
                    x: *x as f64,
                    y: *y,
                    interval: None,
                });
                let measured = line.cells.iter().filter_map(|cell| match cell {
                    Cell::Measured(measured) => Some(measured.summary.n),
                    _ => None,
                });
                runs = runs.max(measured.max().unwrap_or(0));
            }
        }
        if points.len() > 1 {
            let tasks = table1::EXHIBIT.tasks(view.profile).join(", ");
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
                "Ours, profile {}: mean over {tasks}; up to {runs} seeds a point; heads are not counted. {}",
                view.profile.name,
                view.rule(table1::EXHIBIT.published).caption()
            )];
            figures.push(plot::figure(
                &scatter,
                "figure1",
                "Figure 1, ours",
                caption,
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
        "The paper's figure, RoBERTa-large: shares read off its axis ({}).",
        Published::get().sources[&table.source]
    )];
    plot::figure(&scatter, "figure1-paper", "Figure 1, the paper's", caption)
}
