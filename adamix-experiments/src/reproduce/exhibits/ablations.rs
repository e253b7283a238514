//! The ablations of tables 7 and 8 as differences from AdaMix, with their intervals; and beside them how sure it is.

use anyhow::Result;

use super::{calibration, table8, table14};
use crate::plot::{self, Bar, Bars};
use crate::report::document::{Document, Figure};
use crate::reproduce::basis::Basis;
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
        figures.extend(calibration::figure(view)?);
        Ok(figures)
    }
}

fn bars(view: &View<'_>) -> Result<Option<Figure>> {
    let tasks = table8::EXHIBIT.tasks(view.profile);
    let columns = columns(table8::EXHIBIT.table(), &tasks);
    let mut bars = Vec::new();
    let mut seeds = 0;
    let mut compared = Vec::new();
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
            let (first, second) = ((&want, reading), (&adamix, Reading::Own));
            let Some(found) = view.compare(first, second, &column.metric)? else {
                continue;
            };
            let found = found.comparison;
            seeds = seeds.max(found.seeds);
            compared.extend(view.pairs(first, second)?);
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
    let basis = Basis::measured(view.profile, compared.into_iter().flat_map(<[_; 2]>::from));
    let caption = vec![format!(
        "{basis}. Difference from AdaMix on the same seeds, up to {seeds} a bar, and on the same rows, with the 95 % bootstrap interval over both. Rings: the paper's difference on RoBERTa-large."
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
        &basis.to_string(),
    )?))
}
