//! How sure AdaMix is, merged and as an ensemble, on the same rows of the same runs.

use anyhow::Result;

use super::table14;
use crate::plot::{self, Calibration};
use crate::report::document::{Figure, grouped};
use crate::report::record::{Outputs, Rule};
use crate::report::{Gold, Record};
use crate::reproduce::basis::Basis;
use crate::reproduce::methods;
use crate::reproduce::view::{Reading, View};
use crate::reproduce::want::Mode;

/// Each row's confidence, and whether the prediction was right.
type Rows = Vec<(f64, bool)>;

/// The rows of a run.
struct Sure<'a> {
    record: &'a Record,
    merged: Rows,
    /// None where the ensemble was not measured, or of another state than the one shown.
    ensemble: Option<Rows>,
}

impl<'a> Sure<'a> {
    /// None of what is no classification.
    fn of(record: &'a Record, gold: &Gold, rule: Rule) -> Option<Self> {
        let answers = gold.targets();
        let rows = |outputs: &Outputs| -> Rows {
            let right = outputs
                .targets()
                .into_iter()
                .zip(&answers)
                .map(|(o, a)| o == *a);
            outputs.confidences().into_iter().zip(right).collect()
        };
        let own = record.outputs(rule)?;
        if !matches!(own, Outputs::LogOdds { .. }) {
            return None;
        }
        let ensemble = Reading::In(Mode::Ensemble).outputs(record, rule);
        Some(Self {
            record,
            merged: rows(own),
            ensemble: ensemble.first().map(|o| rows(o)),
        })
    }
}

/// The runs that have both; all of them where none has.
fn comparable(runs: Vec<Sure<'_>>) -> Vec<Sure<'_>> {
    match runs.iter().any(|run| run.ensemble.is_some()) {
        true => (runs.into_iter())
            .filter(|run| run.ensemble.is_some())
            .collect(),
        false => runs,
    }
}

/// One diagram: all seeds and classification tasks together.
pub(super) fn figure(view: &View<'_>) -> Result<Option<Figure>> {
    let rule = view.rule(table14::EXHIBIT.published);
    let mut found = Vec::new();
    for task in table14::EXHIBIT.tasks(view.profile) {
        let want = table14::EXHIBIT.want(methods::row("adamix")?, &task);
        for record in view.records_of(&want)? {
            let gold = view.gold(record);
            found.extend(gold.and_then(|gold| Sure::of(record, gold, rule)));
        }
    }
    let runs = comparable(found);
    if runs.is_empty() {
        return Ok(None);
    }
    let basis = Basis::measured(view.profile, runs.iter().map(|run| run.record));
    let merged: Rows = runs.iter().flat_map(|run| run.merged.clone()).collect();
    let ensemble: Rows = runs
        .iter()
        .flat_map(|run| run.ensemble.clone())
        .flatten()
        .collect();
    let n = merged.len();
    let mut models = vec![("merged".to_owned(), merged)];
    if !ensemble.is_empty() {
        models.push(("ensemble".to_owned(), ensemble));
    }
    let which = match models.len() {
        1 => "merged; no run was measured as an ensemble",
        _ => "merged and as an ensemble, the runs that were measured as both",
    };
    let caption = vec![format!(
        "AdaMix, {which}: {basis}; {} predictions each in ten bins of confidence, {} epoch; a mark's area is its bin's share of rows; the error is the mean gap to the diagonal.",
        grouped(n),
        rule.name()
    )];
    let plot = Calibration { models, bins: 10 };
    let note = basis.to_string();
    plot::figure(&plot, "calibration", "Calibration", caption, &note).map(Some)
}

#[cfg(test)]
mod tests {
    use adamix_data::Target;

    use super::*;
    use crate::report::record::{DrawRecord, ModeRecord, example};
    use crate::reproduce::view::task_named;

    /// A run of four rows, all right; as an ensemble, measured of a state, one of them is wrong.
    fn run(seed: u64, ensemble: Option<Rule>) -> Record {
        let mut record = example("mrpc", seed, &[2.0, -2.0, 2.0, -2.0]);
        if let Some(state) = ensemble {
            let outputs = Outputs::LogOdds {
                classes: 2,
                values: vec![1.0, -1.0, 1.0, 1.0],
            };
            let metrics = Default::default();
            let draws = vec![DrawRecord { metrics, outputs }];
            let mode = ModeRecord { state, draws };
            record.modes.insert(Mode::Ensemble.name().to_owned(), mode);
        }
        record
    }

    fn shown(records: &[Record]) -> Vec<(u64, usize, Option<usize>)> {
        let answers = [1, 0, 1, 0].map(Target::Class);
        let gold = Gold::of(task_named("mrpc").unwrap(), &[0, 1, 2, 3], &answers);
        let sure = |record| Sure::of(record, &gold, Rule::Last).unwrap();
        let right = |rows: &Rows| rows.iter().filter(|(_, right)| *right).count();
        comparable(records.iter().map(sure).collect())
            .iter()
            .map(|run| {
                assert_eq!(run.merged.len(), 4);
                let ensemble = run.ensemble.as_ref().map(right);
                (run.record.seed(), right(&run.merged), ensemble)
            })
            .collect()
    }

    #[test]
    fn both_ways_are_shown_on_the_same_runs() {
        let records = [
            run(1, None),
            run(2, Some(Rule::Last)),
            run(3, Some(Rule::Best)),
        ];
        assert_eq!(shown(&records), [(2, 4, Some(3))]);
        // Without an ensemble of the state that is shown: merged alone, all runs.
        let records = [run(1, None), run(3, Some(Rule::Best))];
        assert_eq!(shown(&records), [(1, 4, None), (3, 4, None)]);
    }
}
