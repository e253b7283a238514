//! The ablations of tables 7 and 8 as differences from AdaMix, with their intervals; and how sure the models are.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{table8, table14};
use crate::plot::{self, Bar, Bars, Calibration};
use crate::report::document::{Document, Figure};
use crate::report::record::Outputs;
use crate::reproduce::columns::columns;
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::{Reading, View};
use crate::reproduce::want::{Mode, Want};

/// The ablations in a picture.
#[derive(Clone, Copy, Debug)]
pub struct Ablations;

impl Exhibit for Ablations {
    fn name(&self) -> &'static str {
        "ablations"
    }

    fn title(&self) -> &'static str {
        "Ablations as differences from AdaMix"
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        let mut wants = table8::EXHIBIT.wants(profile)?;
        wants.extend(table14::Table14.wants(profile)?);
        Ok(wants)
    }

    fn documents(&self, _: &View<'_>) -> Result<Vec<Document>> {
        Ok(Vec::new())
    }

    fn figures(&self, view: &View<'_>) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        figures.extend(bars(view)?);
        figures.extend(calibration(view)?);
        Ok(figures)
    }
}

fn bars(view: &View<'_>) -> Result<Option<Figure>> {
    let tasks = table8::EXHIBIT.tasks(view.profile);
    let columns = columns(table8::EXHIBIT.table(), &tasks);
    let mut bars = Vec::new();
    let mut seeds = 0;
    let mut rows = BTreeSet::new();
    for (group, task) in tasks.iter().enumerate() {
        let Some(column) = columns.iter().find(|c| c.task == *task) else {
            continue;
        };
        let adamix = table8::EXHIBIT.want(methods::row("adamix")?, task);
        let variants = [
            (
                "no consistency",
                table8::EXHIBIT.want(methods::row("no-consistency")?, task),
                Reading::Own,
                "no-consistency",
            ),
            (
                "no sharing",
                table8::EXHIBIT.want(methods::row("no-sharing")?, task),
                Reading::Own,
                "no-sharing",
            ),
            (
                "random routing",
                adamix.clone(),
                Reading::In(Mode::Random),
                "",
            ),
            (
                "fixed routing",
                adamix.clone(),
                Reading::In(Mode::Fixed),
                "",
            ),
            ("ensemble", adamix.clone(), Reading::In(Mode::Ensemble), ""),
        ];
        for (name, want, reading, published) in variants {
            let Some(found) =
                view.compare((&want, reading), (&adamix, Reading::Own), &column.metric)?
            else {
                continue;
            };
            let found = found.comparison;
            seeds = seeds.max(found.seeds);
            rows.insert((column.title.clone(), found.examples));
            let scale = f64::from(column.scale);
            let table = table8::EXHIBIT.table();
            let paper = table
                .cell(published, &column.key)
                .zip(table.cell("adamix", &column.key))
                .map(|(variant, adamix)| variant - adamix);
            bars.push(Bar {
                name: format!("{name}, {}", column.title),
                value: found.difference * scale,
                interval: found.interval.map(|i| crate::statistics::Interval {
                    low: i.low * scale,
                    high: i.high * scale,
                }),
                group,
                paper,
            });
        }
    }
    if bars.is_empty() {
        return Ok(None);
    }
    let caption = vec![format!(
        "Profile {}, up to {seeds} seeds, rows: {}: difference from AdaMix on the same seeds and rows, with the 95 % bootstrap interval over both. Rings: the paper's difference on RoBERTa-large.",
        view.profile.name,
        rows.iter()
            .map(|(task, n)| format!("{task} {n}"))
            .collect::<Vec<_>>()
            .join(", ")
    )];
    let plot = Bars {
        x_title: "difference from AdaMix, points".to_owned(),
        bars,
    };
    Ok(Some(plot::figure(
        &plot,
        "ablations",
        "Ablations as differences from AdaMix",
        caption,
    )?))
}

/// One diagram: AdaMix merged and as an ensemble, all seeds and classification tasks together.
fn calibration(view: &View<'_>) -> Result<Option<Figure>> {
    let mut merged = Vec::new();
    let mut ensemble = Vec::new();
    let mut runs = 0;
    let mut tasks = Vec::new();
    for task in table14::EXHIBIT.tasks(view.profile) {
        let want = table14::EXHIBIT.want(methods::row("adamix")?, &task);
        for record in view.records_of(&want)? {
            let (Some(gold), Some(own)) = (
                view.gold(record),
                record.outputs(view.rule(table14::EXHIBIT.published)),
            ) else {
                continue;
            };
            let answers = gold.targets();
            let rows = |outputs: &Outputs| -> Vec<(f64, bool)> {
                let right = outputs
                    .targets()
                    .into_iter()
                    .zip(&answers)
                    .map(|(o, a)| o == *a);
                outputs.confidences().into_iter().zip(right).collect()
            };
            if matches!(own, Outputs::LogOdds { .. }) {
                merged.extend(rows(own));
                if let Some(mode) = record.modes.get(Mode::Ensemble.name()) {
                    ensemble.extend(mode.draws.iter().flat_map(|draw| rows(&draw.outputs)));
                }
                runs += 1;
                if !tasks.contains(&task) {
                    tasks.push(task.clone());
                }
            }
        }
    }
    if merged.is_empty() {
        return Ok(None);
    }
    let n = merged.len();
    let mut models = vec![("merged".to_owned(), merged)];
    if !ensemble.is_empty() {
        models.push(("ensemble".to_owned(), ensemble));
    }
    let plot = Calibration { models, bins: 10 };
    let caption = vec![format!(
        "Profile {}, AdaMix on {}: {n} predictions of {runs} runs in ten bins of confidence; a mark's area is its bin's share of rows; the error is the mean gap to the diagonal.",
        view.profile.name,
        tasks.join(", ")
    )];
    Ok(Some(plot::figure(
        &plot,
        "calibration",
        "Calibration",
        caption,
    )?))
}
