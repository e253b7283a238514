//! Table 7: merging against random and fixed routing and the ensemble, on the mean over tasks.

use anyhow::Result;

use super::exhibit::{Exhibit, Mode, Want};
use super::grid::{Grid, Source};
use super::profile::Profile;
use super::view::View;
use crate::report::document::{Cell, Document, Line, Origin};

/// The task-by-task table below the mean.
const GRID: Grid = Grid {
    published: "table7",
    title: "Merging and its alternatives",
    rows: &[
        ("full", Source::Runs),
        ("adamix", Source::Runs),
        ("random", Source::Mode(Mode::Random)),
        ("fixed", Source::Mode(Mode::Fixed)),
        ("ensemble", Source::Mode(Mode::Ensemble)),
    ],
    average: true,
    notes: &[
        "Random routing is the mean over draws; each draw sends every example through its own random modules. #Param of ours is what is served after merging; unmerged modes keep all experts.",
    ],
};

/// Table 7.
#[derive(Clone, Copy, Debug)]
pub struct Table7;

impl Exhibit for Table7 {
    fn name(&self) -> &'static str {
        "table7"
    }

    fn title(&self) -> &'static str {
        GRID.title
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        GRID.wants(profile)
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let mut documents = GRID.documents(view)?;
        for document in &mut documents {
            for line in &mut document.lines {
                unmerged(line);
            }
        }
        Ok(documents)
    }
}

/// Rows that keep their experts do not serve the merged count.
fn unmerged(line: &mut Line) {
    if line.origin == Origin::Ours
        && ["random", "ensemble"].contains(&line.key.as_str())
        && let Some(cell @ Cell::Count(_)) = line.cells.first_mut()
    {
        *cell = Cell::Text("all experts".to_owned());
    }
}
