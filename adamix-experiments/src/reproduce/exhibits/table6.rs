//! Table 6: few-shot understanding with prompts, 30 labelled rows a task; and what the majority class would score.

use adamix_data::Target;
use anyhow::Result;

use crate::report::document::{Cell, Document, Line, Origin};
use crate::reproduce::columns::{Column, columns};
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::grid::{Grid, Source};
use crate::reproduce::profile::Profile;
use crate::reproduce::scored::evaluate;
use crate::reproduce::view::View;
use crate::reproduce::want::Want;

/// Few-shot with prompts, 30 rows a task.
pub const GRID: Grid = Grid {
    published: "table6",
    title: "Few-shot with prompts, 30 rows a task",
    rows: &[
        ("full", Source::Runs),
        ("head", Source::Runs),
        ("bitfit", Source::Runs),
        ("prompt-tuning", Source::Runs),
        ("houlsby", Source::Runs),
        ("list", Source::Runs),
        ("adamix", Source::Runs),
    ],
    average: true,
    notes: &[
        "Each seed has its own fixed training rows, the splits of LiST; nothing is selected on development rows. The head is the masked-LM head, trained with every method.",
        "Measured on the rows that the splits come with: those of MNLI and QQP have 210, where the paper has the development sets.",
        "Majority class: the accuracy of answering every row alike. A score near it is chance.",
    ],
};

/// Table 6.
#[derive(Clone, Copy, Debug)]
pub struct Table6;

impl Exhibit for Table6 {
    fn name(&self) -> &'static str {
        GRID.published
    }

    fn title(&self) -> &'static str {
        GRID.title
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        GRID.wants(profile)
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let mut documents = GRID.documents(view)?;
        let columns = columns(GRID.table(), &GRID.tasks(view.profile));
        let mut cells = vec![Cell::Empty];
        for column in &columns {
            let share = majority(view, column)?;
            let scale = f64::from(column.scale);
            cells.push(share.map_or(Cell::Empty, |s| Cell::number(s * scale, column.digits)));
        }
        cells.push(Cell::Empty);
        for document in &mut documents {
            document.lines.push(Line {
                key: "majority".to_owned(),
                label: "Majority class".to_owned(),
                origin: Origin::Plain,
                cells: cells.clone(),
            });
        }
        Ok(documents)
    }
}

/// The best accuracy of one answer for all rows, where a run has been measured on them.
fn majority(view: &View<'_>, column: &Column) -> Result<Option<f64>> {
    if column.metric != "accuracy" {
        return Ok(None);
    }
    for (row, ..) in GRID.rows(view.profile)? {
        let records = view.records_of(&GRID.want(row, &column.task))?;
        let Some(gold) = records.first().and_then(|record| view.gold(record)) else {
            continue;
        };
        let gold = gold.targets();
        let classes = gold.iter().filter_map(|row| row.class()).max().unwrap_or(0);
        let alike = (0..=classes).filter_map(|class| {
            let outputs = vec![Target::Class(class); gold.len()];
            evaluate(&column.metric, &outputs, &gold)
        });
        return Ok(alike.max_by(f64::total_cmp));
    }
    Ok(None)
}
