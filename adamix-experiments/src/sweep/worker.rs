//! A worker: takes runs that nobody is at, and runs them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use thiserror::Error;

use super::claim::{Attempt, Claim};
use super::folder::SweepFolder;
use super::plan::Spec;
use crate::checkpoint::Busy;
use crate::interrupt::{Interrupted, Stopped};
use crate::recipe::{self, Sitting};

/// How often a worker looks whether a run that another one has is free.
const LOOK: Duration = Duration::from_secs(2);

/// Where this worker runs, a run cannot be.
#[derive(Debug, Error)]
#[error("this worker cannot read the run's model or data, which the plan could")]
struct Unable;

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
/// If the run fails, which its claim then says too, or a stop is asked for.
pub fn work_at(folder: &SweepFolder, spec: &Spec, sitting: &Sitting) -> Result<Ended> {
    let claims = folder.claims();
    loop {
        if folder.result(&spec.id).is_some() {
            return Ok(Ended::Found);
        }
        sitting.interrupt.check()?;
        match claims.take(&spec.id, true)? {
            Attempt::Mine(claim) => match run(folder, spec, claim, sitting) {
                Err(error) if error.is::<Busy>() => std::thread::sleep(LOOK),
                ended => return ended,
            },
            Attempt::Busy(_) => std::thread::sleep(LOOK),
            Attempt::Failed(message) => bail!(message),
        }
    }
}

/// Works until no run of the plan is left: takes what is free, and what workers leave that vanish. Runs that
/// failed stay failed.
///
/// # Errors
/// If the store cannot be read or written, or a stop is asked for. Runs that fail are told to `report` and stop
/// nothing; one whose model or data cannot be read here is left to others, and is the error when nothing else is left.
pub fn work_off(
    folder: &SweepFolder,
    sitting: &Sitting,
    report: &dyn Fn(&Spec, &Result<Ended>),
) -> Result<()> {
    let claims = folder.claims();
    let mut unable = BTreeMap::new();
    loop {
        let (mut worked, mut busy) = (false, false);
        for spec in folder.specs()? {
            if folder.result(&spec.id).is_some() || unable.contains_key(&spec.id) {
                continue;
            }
            sitting.interrupt.check()?;
            match claims.take(&spec.id, false)? {
                Attempt::Mine(claim) => {
                    let ended = run(folder, &spec, claim, sitting);
                    match ended {
                        Err(error) if is_a_stop(&error) => return Err(error),
                        Err(error) if error.is::<Unable>() => {
                            unable.insert(spec.id, error);
                        }
                        // A program that is no worker has it.
                        Err(error) if error.is::<Busy>() => busy = true,
                        ended => {
                            report(&spec, &ended);
                            worked = true;
                        }
                    }
                }
                Attempt::Busy(_) => busy = true,
                Attempt::Failed(_) => {}
            }
        }
        if !worked && !busy {
            return match unable.into_values().next() {
                Some(error) => Err(error),
                None => Ok(()),
            };
        }
        if !worked {
            std::thread::sleep(LOOK);
        }
    }
}

fn run(folder: &SweepFolder, spec: &Spec, claim: Claim, sitting: &Sitting) -> Result<Ended> {
    // Its last owner may have finished it while we were taking it.
    if folder.result(&spec.id).is_some() {
        claim.done()?;
        return Ok(Ended::Found);
    }
    let found = match recipe::identity(&spec.config) {
        Ok(identity) => identity.id,
        // Not the run's fault: the next worker may do better.
        Err(error) => {
            claim.stop()?;
            return Err(error.context(Unable));
        }
    };
    let train = || {
        if found != spec.id {
            bail!(
                "the base model or the data changed since the sweep was planned: the run is now {found}; plan again"
            );
        }
        recipe::train(&spec.config, Some(&folder.run(&spec.id)), sitting)
    };
    match train() {
        Ok(_) => {
            claim.done()?;
            Ok(Ended::Done)
        }
        Err(error) => {
            if is_a_stop(&error) || error.is::<Busy>() {
                claim.stop()?;
            } else {
                claim.fail(&format!("{error:#}").replace('\n', " "))?;
            }
            Err(error)
        }
    }
}

fn is_a_stop(error: &anyhow::Error) -> bool {
    error.is::<Stopped>() || error.is::<Interrupted>()
}
