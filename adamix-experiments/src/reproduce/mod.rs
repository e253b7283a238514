//! The paper again: every table and figure by one command.
//!
//! An [`Exhibit`] is a table or figure. It names the runs that it is made of ([`Want`]) and turns their records into
//! documents and pictures. A [`Profile`] gives the settings: `smoke` (what the program carries, a minute), `laptop` (small
//! models, real data, evenings), `paper` (the exact models, for a GPU machine). [`plan()`] makes of both a list of runs,
//! [`work`] does what is missing, [`publish()`] writes what is known.

mod basis;
mod columns;
#[cfg(test)]
mod counts;
mod dry_run;
mod estimate;
mod exhibit;
mod exhibits;
mod grid;
mod methods;
mod own_base;
mod plan;
mod profile;
mod publish;
mod queue;
mod recording;
mod scored;
mod selector;
mod settings;
mod view;
mod want;

pub use dry_run::DryRun;
pub use exhibit::Exhibit;
pub use exhibits::all as exhibits;
pub use plan::{Choice, Job, plan};
pub use profile::Profile;
pub use publish::{FOLDER, altered, publish, render, verify};
pub use queue::{Done, work};
pub use recording::record;
pub use selector::{Place, Selector};
pub use view::{Reading, View, task_named};
pub use want::{Mode, Want};

use anyhow::{Result, bail};

/// The exhibits of a name: one, `all`, or the other name of one.
///
/// # Errors
/// If there is none; the message lists the names.
pub fn named(name: &str) -> Result<Vec<&'static dyn Exhibit>> {
    let name = match name {
        "table13" => "table2",
        "table16" => "table15",
        other => other,
    };
    let all = exhibits();
    if name == "all" {
        return Ok(all);
    }
    match all.iter().find(|exhibit| exhibit.name() == name) {
        Some(exhibit) => Ok(vec![*exhibit]),
        None => {
            let names: Vec<&str> = all.iter().map(|exhibit| exhibit.name()).collect();
            bail!(
                "unknown table or figure `{name}`; known are all, {}",
                names.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_published_table_has_an_exhibit() {
        let mut names: Vec<&str> = exhibits().iter().map(|e| e.name()).collect();
        for table in &crate::report::Published::get().tables {
            let name = table.name.split('-').next().unwrap();
            assert!(names.contains(&name), "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(named("table13").unwrap()[0].name(), "table2");
        assert!(
            named("table99")
                .err()
                .unwrap()
                .to_string()
                .contains("loss-curves")
        );
    }

    #[test]
    fn every_profile_plans_every_exhibit() {
        for name in Profile::names() {
            let profile = Profile::named(name).unwrap();
            let jobs = plan(&profile, &exhibits(), &Choice::default()).unwrap();
            assert!(!jobs.is_empty(), "{name}");
            // Nothing that is wanted gets lost where cells share a run.
            for exhibit in exhibits() {
                for want in exhibit.wants(&profile).unwrap() {
                    let cell = format!("{}/{}/{}", want.exhibit, want.row.key, want.task);
                    let seeds = jobs.iter().filter(|job| job.cells.contains(&cell)).count();
                    let expected = profile.seeds(want.place());
                    assert_eq!(seeds as u64, expected, "{name}: {cell}");
                    let modes = |job: &Job| want.modes.iter().all(|m| job.modes.contains(m));
                    let of_cell = jobs.iter().filter(|job| job.cells.contains(&cell));
                    assert!(of_cell.into_iter().all(modes), "{name}: {cell}");
                }
            }
        }
    }

    #[test]
    fn a_run_that_is_trained_is_measured_for_all_exhibits() {
        let profile = Profile::named("laptop").unwrap();
        let jobs = plan(&profile, &named("table1").unwrap(), &Choice::default()).unwrap();
        let job = |row: &str, seed: u64| {
            let is_it = |job: &&Job| {
                (job.want.row.key, job.want.task.as_str(), job.seed) == (row, "mrpc", seed)
            };
            jobs.iter().find(is_it).unwrap()
        };
        // Table 1 needs no modes of its own; table 7, figure 5 and the picture of the draws do.
        assert!(jobs.iter().all(|job| job.modes.is_empty() && !job.traced));
        for (seed, traced) in [(1, true), (2, false)] {
            let adamix = job("adamix", seed);
            assert_eq!(adamix.all_modes(), Mode::ALL);
            assert_eq!(adamix.besides.traced, traced);
        }
        assert!(job("adapter", 1).all_modes().is_empty());
    }
}
