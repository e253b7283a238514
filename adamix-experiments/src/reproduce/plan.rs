//! The runs of a profile, each once, in the order of their worth.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::exhibit::Exhibit;
use super::exhibits;
use super::profile::Profile;
use super::settings::Settings;
use super::want::{Mode, Want};
use crate::config::RunConfig;
use crate::report::record::Rule;
use crate::report::{Records, store::spec_of};
use crate::run::rerun;

/// A run to be done, and what for.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its config.
    pub config: RunConfig,
    /// Its settings with their sources.
    pub settings: Settings,
    /// The first cell that needs it.
    pub want: Want,
    /// The seed's number, from 1.
    pub seed: u64,
    /// All cells that need it, as `exhibit/row/task`.
    pub cells: Vec<String>,
    /// How the trained model is measured beside its own way.
    pub modes: Vec<Mode>,
    /// Whether its draws are recorded.
    pub traced: bool,
    /// What exhibits that are not planned want to know of the run: a record with all is never trained for a second time.
    pub besides: Besides,
}

/// What is measured of a run that has to be done anyway.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// Further modes.
    pub modes: Vec<Mode>,
    /// Whether its draws are recorded, if it is trained from the start.
    pub traced: bool,
}

/// What the command line leaves of a plan.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Seeds, where not the profile's.
    pub seeds: Option<u64>,
    /// Rows; all where none is named.
    pub only: Vec<String>,
}

impl Job {
    /// What the job is known by before its files are opened.
    pub fn spec(&self) -> String {
        spec_of(&rerun(&self.config))
    }

    /// Whether a record holds all that the job is for, the modes of the state that is shown.
    pub fn is_done(&self, records: &Records, rule: Rule) -> bool {
        let Some(record) = records.of(&self.config) else {
            return false;
        };
        let measured = self
            .modes
            .iter()
            .all(|mode| record.measured_in(mode.name(), rule));
        measured && (!self.traced || record.usage.is_some())
    }

    /// How the trained model is measured if the run is done now.
    pub fn all_modes(&self) -> Vec<Mode> {
        let mut modes = [self.modes.as_slice(), &self.besides.modes].concat();
        modes.sort();
        modes.dedup();
        modes
    }

    /// In a line: `table1 adamix mrpc, seed 2`.
    pub fn title(&self) -> String {
        format!(
            "{} {} {}, seed {}",
            self.want.exhibit, self.want.row.key, self.want.task, self.config.seed
        )
    }
}

/// All jobs of some exhibits. A run that several cells share is one job; jobs that the profile's queue names come
/// first, in its order, and of those the first seeds of all rows before the second.
pub fn plan(profile: &Profile, exhibits: &[&dyn Exhibit], choice: &Choice) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows: Vec<&str> = Vec::new();
    for exhibit in exhibits {
        for want in exhibit.wants(profile)? {
            if !rows.contains(&want.row.key) {
                rows.push(want.row.key);
            }
            if !choice.only.is_empty() && choice.only.iter().all(|row| row != want.row.key) {
                continue;
            }
            let seeds = choice.seeds.unwrap_or_else(|| profile.seeds(want.place()));
            for seed in 1..=seeds {
                // Where a seed is a split, there may be no further one.
                if choice.seeds.is_some() && seed > 1 && profile.config(want.place(), seed).is_err()
                {
                    break;
                }
                add(profile, &want, seed, &mut jobs, &mut places)?;
            }
        }
    }
    if let Some(unknown) = choice.only.iter().find(|row| !rows.contains(&row.as_str())) {
        match rows.is_empty() {
            true => bail!("--only: nothing is run for it alone, it shows what others ran"),
            false => bail!(
                "--only: no row is called `{unknown}` there; there are {}",
                rows.join(", ")
            ),
        }
    }
    add_besides(profile, &mut jobs, &places)?;
    let rank = |job: &Job| {
        let named = profile.queue.iter().position(|s| {
            job.cells.iter().any(|cell| {
                let mut parts = cell.splitn(3, '/');
                let exhibit = parts.next().unwrap_or_default();
                let mut place = job.want.place();
                place.exhibit = exhibit;
                s.matches(place)
            })
        });
        named.unwrap_or(profile.queue.len())
    };
    // A stable sort: within a rank and a seed, the order of exhibits, rows and tasks.
    jobs.sort_by_key(|job| (rank(job), job.seed));
    Ok(jobs)
}

/// Tells jobs what all the exhibits want of their runs.
fn add_besides(
    profile: &Profile,
    jobs: &mut [Job],
    places: &BTreeMap<String, usize>,
) -> Result<()> {
    for exhibit in exhibits::all() {
        let wants = exhibit.wants(profile)?.into_iter();
        for want in wants.filter(|want| want.traced || !want.modes.is_empty()) {
            for seed in 1..=profile.seeds(want.place()) {
                let spec = spec_of(&rerun(&profile.config(want.place(), seed)?));
                if let Some(place) = places.get(&spec) {
                    let besides = &mut jobs[*place].besides;
                    besides.modes.extend(&want.modes);
                    besides.traced |= want.traced && seed == 1;
                }
            }
        }
    }
    Ok(())
}

fn add(
    profile: &Profile,
    want: &Want,
    seed: u64,
    jobs: &mut Vec<Job>,
    places: &mut BTreeMap<String, usize>,
) -> Result<()> {
    let job = Job {
        config: profile.config(want.place(), seed)?,
        settings: profile.settings(want.place(), seed)?,
        want: want.clone(),
        seed,
        cells: vec![format!("{}/{}/{}", want.exhibit, want.row.key, want.task)],
        modes: want.modes.clone(),
        traced: want.traced && seed == 1,
        besides: Besides::default(),
    };
    match places.get(&job.spec()) {
        Some(place) => {
            let known = &mut jobs[*place];
            for cell in job.cells {
                if !known.cells.contains(&cell) {
                    known.cells.push(cell);
                }
            }
            known.modes.extend(job.modes);
            known.modes.sort();
            known.modes.dedup();
            known.traced |= job.traced;
        }
        None => {
            places.insert(job.spec(), jobs.len());
            jobs.push(job);
        }
    }
    Ok(())
}
