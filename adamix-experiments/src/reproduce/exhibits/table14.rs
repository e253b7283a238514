//! Table 14 (appendix): merging and its alternatives, task by task, on both encoders.

use anyhow::Result;

use crate::report::Document;
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::grid::{Grid, Source};
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::View;
use crate::reproduce::want::{Mode, Want};

/// Merging and its alternatives, task by task: BERT-base.
pub const EXHIBIT: Grid = Grid {
    published: "table14",
    title: "Merging and its alternatives, task by task",
    rows: &[
        ("adamix", Source::Runs),
        ("random", Source::Mode(Mode::Random)),
        ("fixed", Source::Mode(Mode::Fixed)),
        ("ensemble", Source::Mode(Mode::Ensemble)),
    ],
    average: true,
    notes: &[
        "Random routing is the mean over draws; each draw sends every example through its own random modules.",
    ],
};

/// The same on RoBERTa-large; its runs of AdaMix are those of table 1.
pub const ROBERTA: Grid = Grid {
    published: "table14-roberta",
    title: "Merging and its alternatives, task by task, RoBERTa-large",
    ..EXHIBIT
};

/// Table 14.
#[derive(Clone, Copy, Debug)]
pub struct Table14;

/// Its grids under a profile. A profile that has one model in place of both encoders has one grid: a second would be
/// the same again.
///
/// # Errors
/// If the profile names a row or task that is not known.
pub fn grids(profile: &Profile) -> Result<Vec<Grid>> {
    let tasks = EXHIBIT.tasks(profile);
    let Some(task) = tasks.first() else {
        return Ok(vec![EXHIBIT]);
    };
    let model = |grid: &Grid| -> Result<String> {
        let want = grid.want(methods::row("adamix")?, task);
        Ok(profile.config(want.place(), 1)?.model)
    };
    Ok(match model(&EXHIBIT)? == model(&ROBERTA)? {
        true => vec![EXHIBIT],
        false => vec![EXHIBIT, ROBERTA],
    })
}

impl Exhibit for Table14 {
    fn name(&self) -> &'static str {
        EXHIBIT.published
    }

    fn title(&self) -> &'static str {
        EXHIBIT.title
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        let mut wants = Vec::new();
        for grid in grids(profile)? {
            wants.extend(grid.wants(profile)?);
        }
        Ok(wants)
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        for grid in grids(view.profile)? {
            documents.extend(grid.documents(view)?);
        }
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::reproduce::{Choice, named, plan};

    #[test]
    fn both_encoders_are_planned_where_a_profile_has_both() {
        let profile = Profile::named("paper").unwrap();
        let models = |name: &str| -> BTreeSet<String> {
            let jobs = plan(&profile, &named(name).unwrap(), &Choice::default()).unwrap();
            assert_eq!(jobs.len(), 16, "{name}");
            let model = |job: &crate::reproduce::Job| job.config.model.clone();
            jobs.iter().map(model).collect()
        };
        for name in ["table14", "figure5"] {
            let found = models(name);
            assert_eq!(found.len(), 2, "{name}: {found:?}");
            assert!(found.iter().any(|m| m.ends_with("roberta-large")), "{name}");
        }
        // Nothing is trained for it: these are the runs of tables 1 and 2.
        let trained = [named("table1").unwrap(), named("table2").unwrap()].concat();
        let all = [trained.clone(), named("table14").unwrap()].concat();
        let count =
            |exhibits: &[&dyn Exhibit]| plan(&profile, exhibits, &Choice::default()).unwrap().len();
        assert_eq!(count(&all), count(&trained));
    }

    #[test]
    fn one_model_makes_one_grid() {
        for name in ["smoke", "laptop"] {
            let profile = Profile::named(name).unwrap();
            assert_eq!(grids(&profile).unwrap().len(), 1, "{name}");
        }
    }
}
