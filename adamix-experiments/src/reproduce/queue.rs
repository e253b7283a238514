//! Doing what is missing: one run after another, recorded as it comes, to be interrupted at any time.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_data::Target;
use adamix_keys::Key;
use anyhow::Result;

use super::own_base::prepare;
use super::plan::Job;
use super::profile::Profile;
use super::recording;
use super::want::Mode;
use crate::checkpoint::Busy;
use crate::interrupt::{Interrupted, Stopped};
use crate::recipe::{self, Base, Evaluator, Identities, Sitting, TaskData};
use crate::report::record::{DrawRecord, ModeRecord, Rule};
use crate::report::{Gold, Outputs, Record, Records};
use crate::run::RunFolder;

/// Draws of random routing.
pub(super) const DRAWS: u64 = 20;

/// What became of a queue.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Runs that were done now.
    pub new: usize,
    /// Runs that were recorded before.
    pub before: usize,
    /// Runs that failed, with their errors.
    pub failed: Vec<(String, String)>,
}

/// Works a plan off. `store` holds the run folders; a run whose record is whole is not looked at again. A failure is
/// noted and the next run begins. Several programs may do this for one folder of records: a run that another one is at is
/// passed over, and noted if it is not done in the end.
///
/// # Errors
/// If a stop is asked for, or a record cannot be written.
pub fn work(
    profile: &Profile,
    jobs: &[Job],
    records: &mut Records,
    store: &Path,
    sitting: &Sitting,
    tell: &mut dyn FnMut(&str),
) -> Result<Done> {
    let mut done = Done::default();
    let mut identities = Identities::default();
    let mut elsewhere: Vec<(&Job, String)> = Vec::new();
    for (i, job) in jobs.iter().enumerate() {
        let rule = profile.rule_of(&job.want.exhibit);
        if !job.is_done(records, rule) {
            records.refresh()?;
        }
        if job.is_done(records, rule) {
            if !is_outdated(job, records, &mut identities) {
                done.before += 1;
                continue;
            }
            tell(&format!(
                "{}: recorded from another base model, other data or another meaning of runs",
                job.title()
            ));
        }
        tell(&format!("{} of {}: {}", i + 1, jobs.len(), job.title()));
        let results = records.folder().to_owned();
        let prepared = prepare(&profile.bases, &job.config, &results, sitting, tell);
        match prepared.and_then(|()| one(job, rule, store, sitting)) {
            Ok((mut record, gold)) => {
                records.refresh()?;
                if let Some(before) = records.of(&job.config) {
                    record.keep(before);
                }
                records.add(record, gold)?;
                done.new += 1;
            }
            Err(error) if error.is::<Stopped>() || error.is::<Interrupted>() => return Err(error),
            Err(error) if error.is::<Busy>() => {
                tell(&format!("{error:#}"));
                elsewhere.push((job, format!("{error:#}")));
            }
            Err(error) => {
                let text = format!("{error:#}").replace('\n', " ");
                tell(&format!("failed: {text}"));
                done.failed.push((job.title(), text));
            }
        }
    }
    records.refresh()?;
    for (job, busy) in elsewhere {
        match job.is_done(records, profile.rule_of(&job.want.exhibit)) {
            true => done.before += 1,
            false => done.failed.push((job.title(), busy)),
        }
    }
    Ok(done)
}

/// Whether a job's record is of other files than those that are there now. Without the files nothing can be run again, and
/// the record stands.
fn is_outdated(job: &Job, records: &Records, identities: &mut Identities) -> bool {
    let record = records.of(&job.config);
    let now = identities.of(&job.config);
    now.is_ok_and(|now| record.is_some_and(|record| record.id != now.id))
}

fn one(job: &Job, rule: Rule, store: &Path, sitting: &Sitting) -> Result<(Record, Option<Gold>)> {
    let config = &job.config;
    let mut out = store.join(recipe::identity(config)?.id);
    let begun = out.join("run.toml").is_file();
    if job.traced && begun && !out.join("trace.jsonl").is_file() {
        // It was run, or begun, for something else that needs no trace.
        out.as_mut_os_string().push("-traced");
    }
    let sitting = Sitting {
        trace: job.traced || (job.besides.traced && !begun),
        ..sitting.clone()
    };
    let outcome = recipe::train(config, Some(&out), &sitting)?;
    let folder = RunFolder::open(&outcome.folder)?;
    if config.corpus().is_some() {
        return Ok((recording::text_record(&folder)?, None));
    }
    let data = TaskData::load(config)?;
    let modes = measure(job, rule, &folder, &data, &sitting)?;
    let (record, gold) = recording::record(&folder, &data, modes)?;
    Ok((record, Some(gold)))
}

/// A state in the modes that a job asks for.
fn measure(
    job: &Job,
    state: Rule,
    folder: &RunFolder,
    data: &TaskData,
    sitting: &Sitting,
) -> Result<BTreeMap<String, ModeRecord>> {
    let mut modes = BTreeMap::new();
    let asked = job.all_modes();
    if asked.is_empty() {
        return Ok(modes);
    }
    let config = &job.config;
    let device = crate::device::open(&sitting.device)?;
    let base = Base::open(&config.model_folder()?)?;
    let (adapted, _) =
        base.with_adapter(&folder.file(&format!("adapter/{}", state.name())), &device)?;
    let rule = config.merging.rule()?;
    let encodings = base.read(config, &data.task, &data.dev)?;
    let floor = config.evaluation.regression_floor;
    for mode in &asked {
        let draws = if *mode == Mode::Random { DRAWS } else { 1 };
        let mut found = Vec::new();
        for draw in 0..draws {
            let key = Key::new(config.seed).purpose("inference draw").fold(draw);
            let mode = recipe::Mode {
                inference: mode.inference(),
                ..recipe::Mode::of(config, rule.as_ref(), key)?
            };
            let evaluator = Evaluator::new(&adapted.model, &base, &mode, &device)?;
            let look = |_| Ok(sitting.interrupt.check()?);
            let predictions = evaluator.predict(&data.dev, &encodings, &look)?;
            let targets = predictions.targets(&data.task, floor);
            let score = |target: &Target| f64::from(target.score().unwrap_or_default());
            let scores: Vec<f64> = targets.iter().map(score).collect();
            found.push(DrawRecord {
                metrics: predictions.score(&data.task, &data.dev, floor),
                outputs: Outputs::of(&data.task, &predictions.logits, &scores),
            });
        }
        let record = ModeRecord {
            state,
            draws: found,
        };
        modes.insert(mode.name().to_owned(), record);
    }
    Ok(modes)
}
