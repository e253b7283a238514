//! The appendix's loss curves: training with and without sharing; and the development scores of every method.

use anyhow::Result;

use super::{table1, table8};
use crate::plot::{self, Curves, Series};
use crate::report::Record;
use crate::report::document::{Document, Figure};
use crate::reproduce::basis::Basis;
use crate::reproduce::columns::{columns, heading};
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::View;
use crate::reproduce::want::Want;
use crate::statistics::Summary;

/// The colours of a plot.
const COLOURS: usize = 6;

/// Loss curves.
#[derive(Clone, Copy, Debug)]
pub struct LossCurves;

impl Exhibit for LossCurves {
    fn name(&self) -> &'static str {
        "loss-curves"
    }

    fn title(&self) -> &'static str {
        "Training loss with and without sharing"
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        let mut wants = Vec::new();
        for task in table8::EXHIBIT.tasks(profile) {
            for row in ["adamix", "no-sharing"] {
                wants.push(table8::EXHIBIT.want(methods::row(row)?, &task));
            }
        }
        Ok(wants)
    }

    fn documents(&self, _: &View<'_>) -> Result<Vec<Document>> {
        Ok(Vec::new())
    }

    fn figures(&self, view: &View<'_>) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for task in table8::EXHIBIT.tasks(view.profile) {
            let mut series = Vec::new();
            let mut seeds = Vec::new();
            let mut basis = Basis::new(view.profile, "training rows");
            for (row, name) in [("adamix", "up shared"), ("no-sharing", "nothing shared")] {
                let want = table8::EXHIBIT.want(methods::row(row)?, &task);
                let records = view.records_of(&want)?;
                if records.is_empty() {
                    continue;
                }
                seeds.push(format!("{name}: {}", records.len()));
                for record in &records {
                    basis.add(record, record.rows.get("train").copied().unwrap_or(0));
                }
                series.push(over_seeds(name, &records, |record| {
                    record
                        .curve
                        .losses
                        .iter()
                        .map(|(step, loss, _)| (*step as f64, Some(*loss)))
                        .collect()
                }));
            }
            if series.len() == 2 {
                let curves = Curves {
                    title: String::new(),
                    x_title: "step".to_owned(),
                    y_title: "task loss".to_owned(),
                    log: false,
                    series,
                };
                let caption = vec![format!(
                    "{basis}. Means over parts of the run, with the band of one standard deviation over seeds ({}).",
                    seeds.join(", ")
                )];
                figures.push(plot::figure(
                    &curves,
                    &format!("loss-{task}"),
                    &format!("Training loss with and without sharing, {}", heading(&task)),
                    caption,
                    &basis.to_string(),
                )?);
            }
            figures.extend(learning(view, &task)?);
        }
        Ok(figures)
    }
}

/// Development scores by step, every method of table 1.
fn learning(view: &View<'_>, task: &str) -> Result<Option<Figure>> {
    let grid = table1::EXHIBIT;
    if !grid.tasks(view.profile).iter().any(|t| t == task) {
        return Ok(None);
    }
    let columns = columns(grid.table(), &grid.tasks(view.profile));
    let Some(column) = columns.into_iter().find(|c| c.task == task) else {
        return Ok(None);
    };
    let mut series = Vec::new();
    let mut counts = Vec::new();
    let mut shown = Vec::new();
    let mut rows = grid.rows(view.profile)?;
    // AdaMix has one of the colours.
    rows.sort_by_key(|(row, ..)| row.key != "adamix");
    for (row, label, _) in rows {
        if series.len() == COLOURS {
            break;
        }
        let records = view.records_of(&grid.want(row, task))?;
        if records.iter().all(|record| record.curve.scores.len() < 2) {
            continue;
        }
        counts.push(format!("{}: {}", label.ours, records.len()));
        let scale = f64::from(column.scale);
        let mut line = over_seeds(&label.ours, &records, |record| {
            record
                .curve
                .scores
                .iter()
                .map(|(step, score)| (*step as f64, score.map(|s| s * scale)))
                .collect()
        });
        shown.extend(records);
        line.marked = line.points.len() < 12;
        series.push(line);
    }
    if series.is_empty() {
        return Ok(None);
    }
    let curves = Curves {
        title: String::new(),
        x_title: "step".to_owned(),
        y_title: format!("{} score", column.title),
        log: false,
        series,
    };
    let basis = Basis::measured(view.profile, shown);
    let caption = vec![format!(
        "{basis}. After each epoch, with the band of one standard deviation over seeds ({}).",
        counts.join(", ")
    )];
    let title = format!("Development score while training, {}", heading(task));
    Ok(Some(plot::figure(
        &curves,
        &format!("learning-{task}"),
        &title,
        caption,
        &basis.to_string(),
    )?))
}

/// The mean line of some runs with its band. Runs of unlike lengths are cut to the shortest.
fn over_seeds(
    name: &str,
    records: &[&Record],
    points: impl Fn(&Record) -> Vec<(f64, Option<f64>)>,
) -> Series {
    let lines: Vec<Vec<(f64, Option<f64>)>> = records.iter().map(|record| points(record)).collect();
    let length = lines.iter().map(Vec::len).min().unwrap_or(0);
    let mut series = Series {
        name: name.to_owned(),
        ..Series::default()
    };
    for i in 0..length {
        let at = lines[0][i].0;
        let values: Option<Vec<f64>> = lines.iter().map(|line| line[i].1).collect();
        let Some(summary) = values.and_then(|values| Summary::of(&values)) else {
            continue;
        };
        series.points.push((at, summary.mean));
        if let Some(sd) = summary.sd {
            series.band.push((at, summary.mean - sd, summary.mean + sd));
        }
    }
    series
}
