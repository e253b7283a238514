//! The paper again: every table and figure by one command.
//!
//! An [`Exhibit`] is a table or figure. It names the runs that it is made of ([`Want`]) and turns their records into
//! documents and pictures. A [`Profile`] gives the settings: `smoke` (what the program carries, a minute), `laptop` (small
//! models, real data, evenings), `paper` (the exact models, for a GPU machine). [`plan()`] makes of both a list of runs,
//! [`work`] does what is missing, [`publish()`] writes what is known.

mod ablations;
mod base_model;
mod claims;
mod columns;
mod dry_run;
mod estimate;
mod exhibit;
mod figure1;
mod figure5;
mod grid;
mod loss_curves;
mod methods;
mod own_base;
mod plan;
mod profile;
mod publish;
mod queue;
mod recording;
mod scored;
mod settings;
mod storage;
mod table1;
mod table10;
mod table11;
mod table12;
mod table14;
mod table2;
mod table3;
mod table4;
mod table5;
mod table6;
mod table7;
mod table8;
mod table9;
mod usage;
mod view;

pub use dry_run::text as dry_run;
pub use exhibit::{Exhibit, Mode, Want};
pub use plan::{Choice, Job, plan};
pub use profile::{Place, Profile, Selector};
pub use publish::{FOLDER, altered, publish, render, verify};
pub use queue::{Done, work};
pub use recording::record;
pub use view::{Reading, View, task_named};

use anyhow::{Result, bail};

/// Every table and figure, in the paper's order.
pub fn exhibits() -> Vec<&'static dyn Exhibit> {
    vec![
        &table1::EXHIBIT,
        &table2::EXHIBIT,
        &table3::EXHIBIT,
        &table4::EXHIBIT,
        &table5::EXHIBIT,
        &table6::Table6,
        &table7::EXHIBIT,
        &table8::EXHIBIT,
        &table9::EXHIBIT,
        &table10::EXHIBIT,
        &table11::EXHIBIT,
        &table12::EXHIBIT,
        &table14::EXHIBIT,
        &settings::Settings,
        &figure1::Figure1,
        &figure5::Figure5,
        &loss_curves::LossCurves,
        &ablations::Ablations,
        &usage::Usages,
        &storage::Storage,
        &claims::Claims,
        &base_model::BaseModel,
    ]
}

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
            let mut specs: Vec<String> = jobs.iter().map(Job::spec).collect();
            let count = specs.len();
            specs.sort();
            specs.dedup();
            assert_eq!(specs.len(), count, "{name}: a run is planned twice");
        }
    }
}
