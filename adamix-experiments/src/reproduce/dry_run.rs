//! The plan, printed: every run with its cost, every setting with its source.

use anyhow::Result;

use super::estimate::{Estimate, Shape, estimate};
use super::plan::Job;
use super::profile::{Profile, Size};
use crate::config::{RunConfig, dotted};
use crate::report::{Records, document::grouped};
use crate::run::rerun;

/// A job's estimate; none where the data's size is not known.
fn cost(profile: &Profile, job: &Job) -> Result<Option<Estimate>> {
    let base = match job.config.model.rsplit('/').next() {
        Some(name) if !name.is_empty() => name,
        _ => job.want.base.as_str(),
    };
    let shape = Shape::named(base)?;
    let size: Option<&Size> = profile.sizes.get(&job.want.task);
    Ok(size.map(|size| estimate(&job.config, shape, *size, &profile.machine)))
}

/// The whole plan as text.
pub fn text(profile: &Profile, jobs: &[Job], records: &Records) -> Result<String> {
    let mut out = format!("profile {}: {}\n", profile.name, profile.about.join(" "));
    out += &format!("time is for {}\n", profile.machine.name);
    out += &format!("assumed, where a run does not name it: {}\n", defaults()?);
    let mut total = Estimate {
        steps: 0,
        flops: 0.0,
        bytes: 0.0,
        seconds: 0.0,
    };
    let mut done = 0;
    for job in jobs {
        let state = if job.is_done(records, profile.rule_of(&job.want.exhibit)) {
            done += 1;
            ", done"
        } else {
            ""
        };
        out += &format!("\n{}{state}", job.title());
        if let Some(cost) = cost(profile, job)? {
            out += &format!(": {}", line(&cost));
            total.steps += cost.steps;
            total.flops += cost.flops;
            total.bytes = total.bytes.max(cost.bytes);
            total.seconds += cost.seconds;
        }
        out += "\n";
        if job.cells.len() > 1 {
            out += &format!("    also for: {}\n", job.cells[1..].join(", "));
        }
        for (source, settings) in job.settings.by_source() {
            out += &format!("    {source}: {}\n", settings.join(", "));
        }
        // What the method itself brings, such as a width.
        let own = dotted(&rerun(&job.config));
        let own = own
            .into_iter()
            .filter(|(key, _)| !job.settings.sources.contains_key(key));
        let own: Vec<String> = own.map(|(key, value)| format!("{key} = {value}")).collect();
        if !own.is_empty() {
            out += &format!("    assumed (the method's default): {}\n", own.join(", "));
        }
        let modes: Vec<&str> = job.modes.iter().map(|mode| mode.name()).collect();
        if !modes.is_empty() {
            out += &format!("    measured also: {}\n", modes.join(", "));
        }
    }
    out += &format!("\n{} runs, {done} done: {}\n", jobs.len(), line(&total));
    Ok(out)
}

/// The defaults that decide what is learnt.
fn defaults() -> Result<String> {
    let table = toml::Table::try_from(RunConfig::default())?;
    let sections = [
        "backbone.",
        "consistency.",
        "input.",
        "optimizer.",
        "schedule.",
    ];
    let keys = dotted(&table).into_iter();
    let keys = keys.filter(|(key, _)| sections.iter().any(|section| key.starts_with(section)));
    let keys: Vec<String> = keys
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    Ok(keys.join(", "))
}

fn line(cost: &Estimate) -> String {
    let time = match cost.seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    };
    format!(
        "{} steps, {:.2e} FLOP, {:.1} GB, {time}",
        grouped(cost.steps),
        cost.flops,
        cost.bytes / 1e9
    )
}
