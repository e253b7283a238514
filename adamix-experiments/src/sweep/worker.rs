//! A worker: takes runs that nobody is at, and runs them.

use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::ProgressBar;

use super::claim::{Attempt, Claim};
use super::folder::SweepFolder;
use super::plan::Spec;
use super::status;
use crate::recipe;

/// How often a worker looks whether a run that another one has is free.
const LOOK: Duration = Duration::from_secs(2);

/// How a run ended for the worker that was asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Done now.
    Done,
    /// Done before.
    Found,
}

/// Runs one run of the plan to its end. While another worker is at it, waits: it may vanish.
///
/// # Errors
/// If the run fails, which its claim then says too.
pub fn work_at(
    folder: &SweepFolder,
    spec: &Spec,
    device: &str,
    progress: &ProgressBar,
) -> Result<Ended> {
    let claims = folder.claims();
    loop {
        if status::result(folder, &spec.id).is_some() {
            return Ok(Ended::Found);
        }
        match claims.take(&spec.id, true)? {
            Attempt::Mine(claim) => return run(folder, spec, claim, device, progress),
            Attempt::Busy(_) => std::thread::sleep(LOOK),
            Attempt::Failed(message) => bail!(message),
        }
    }
}

/// Works until no run of the plan is left: takes what is free, and what workers leave that vanish. Runs that
/// failed stay failed.
///
/// # Errors
/// If the store cannot be read or written. Runs that fail are told to `report` and stop nothing.
pub fn work_off(
    folder: &SweepFolder,
    device: &str,
    progress: &ProgressBar,
    report: &dyn Fn(&Spec, &Result<Ended>),
) -> Result<()> {
    let claims = folder.claims();
    loop {
        let (mut worked, mut busy) = (false, false);
        for spec in folder.specs()? {
            if status::result(folder, &spec.id).is_some() {
                continue;
            }
            match claims.take(&spec.id, false)? {
                Attempt::Mine(claim) => {
                    report(&spec, &run(folder, &spec, claim, device, progress));
                    worked = true;
                }
                Attempt::Busy(_) => busy = true,
                Attempt::Failed(_) => {}
            }
        }
        if !worked && !busy {
            return Ok(());
        }
        if !worked {
            std::thread::sleep(LOOK);
        }
    }
}

fn run(
    folder: &SweepFolder,
    spec: &Spec,
    claim: Claim,
    device: &str,
    progress: &ProgressBar,
) -> Result<Ended> {
    // Its last owner may have finished it while we were taking it.
    if status::result(folder, &spec.id).is_some() {
        claim.done()?;
        return Ok(Ended::Found);
    }
    let train = || {
        let found = recipe::identity(&spec.config)?.id;
        if found != spec.id {
            bail!(
                "the base model or the data changed since the sweep was planned: the run is now {found}; plan again"
            );
        }
        recipe::train(
            &spec.config,
            Some(&folder.run(&spec.id)),
            device,
            false,
            progress,
        )
    };
    match train() {
        Ok(_) => {
            claim.done()?;
            Ok(Ended::Done)
        }
        Err(error) => {
            claim.fail(&one_line(&error))?;
            Err(error)
        }
    }
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}
