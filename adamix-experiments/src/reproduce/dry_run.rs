//! The plan, told and not run: every run with its cost, every setting with its source.

use anyhow::Result;
use serde::Serialize;

use super::estimate::{Estimate, Shape, estimate};
use super::plan::Job;
use super::profile::{Profile, Size};
use super::settings::Setting;
use crate::config::{RunConfig, dotted};
use crate::report::{Records, document::grouped};
use crate::run::rerun;

/// What would be run.
#[derive(Clone, Debug, Serialize)]
pub struct DryRun {
    /// The profile's name.
    pub profile: String,
    /// What the profile says of itself.
    pub about: String,
    /// What the times assume.
    pub machine: String,
    /// Runs, in the order in which they would be done.
    pub runs: Vec<PlannedRun>,
    /// All costs together; of bytes the largest.
    pub total: Estimate,
}

/// A run of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedRun {
    /// In a line.
    pub title: String,
    /// The first exhibit that needs it.
    pub exhibit: String,
    /// Its row there.
    pub row: String,
    /// Its task.
    pub task: String,
    /// Its seed.
    pub seed: u64,
    /// Whether a record holds all that it is for.
    pub done: bool,
    /// What it costs; none where the data's size is not known.
    pub cost: Option<Estimate>,
    /// Other cells that it is for, as `exhibit/row/task`.
    pub also_for: Vec<String>,
    /// What it sets, each value with its source; all else is the program's default.
    pub settings: Vec<Setting>,
    /// In which modes the trained model is measured beside its own.
    pub measured_also: Vec<&'static str>,
}

impl DryRun {
    /// What the jobs of a profile would be.
    ///
    /// # Errors
    /// If the shapes of a base model are not known.
    pub fn new(profile: &Profile, jobs: &[Job], records: &Records) -> Result<Self> {
        let mut total = Estimate::default();
        let mut runs = Vec::new();
        for job in jobs {
            let cost = cost(profile, job)?;
            if let Some(cost) = cost {
                total.steps += cost.steps;
                total.flops += cost.flops;
                total.bytes = total.bytes.max(cost.bytes);
                total.seconds += cost.seconds;
            }
            runs.push(PlannedRun {
                title: job.title(),
                exhibit: job.want.exhibit.clone(),
                row: job.want.row.key.to_owned(),
                task: job.want.task.clone(),
                seed: job.config.seed,
                done: job.is_done(records, profile.rule_of(&job.want.exhibit)),
                cost,
                also_for: job.cells.iter().skip(1).cloned().collect(),
                settings: settings(job),
                measured_also: job.modes.iter().map(|mode| mode.name()).collect(),
            });
        }
        Ok(Self {
            profile: profile.name.clone(),
            about: profile.about.join(" "),
            machine: profile.machine.name.clone(),
            runs,
            total,
        })
    }

    /// The plan to read.
    ///
    /// # Errors
    /// None of its own.
    pub fn text(&self) -> Result<String> {
        let mut out = format!("profile {}: {}\n", self.profile, self.about);
        out += &format!("time is for {}\n", self.machine);
        out += &format!("assumed, where a run does not name it: {}\n", defaults()?);
        for run in &self.runs {
            let state = if run.done { ", done" } else { "" };
            out += &format!("\n{}{state}", run.title);
            if let Some(cost) = &run.cost {
                out += &format!(": {}", line(cost));
            }
            out += "\n";
            if !run.also_for.is_empty() {
                out += &format!("    also for: {}\n", run.also_for.join(", "));
            }
            for group in run.settings.chunk_by(|a, b| a.source == b.source) {
                let one = |setting: &Setting| format!("{} = {}", setting.key, setting.value);
                let values: Vec<String> = group.iter().map(one).collect();
                out += &format!("    {}: {}\n", group[0].source, values.join(", "));
            }
            if !run.measured_also.is_empty() {
                out += &format!("    measured also: {}\n", run.measured_also.join(", "));
            }
        }
        let done = self.runs.iter().filter(|run| run.done).count();
        let all = self.runs.len();
        out += &format!("\n{all} runs, {done} done: {}\n", line(&self.total));
        Ok(out)
    }
}

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

/// What a job sets, and what its method itself brings, such as a width.
fn settings(job: &Job) -> Vec<Setting> {
    let mut settings = job.settings.by_source();
    let own = dotted(&rerun(&job.config)).into_iter();
    let own = own.filter(|(key, _)| !job.settings.sources.contains_key(key));
    settings.extend(own.map(|(key, value)| Setting {
        key,
        value,
        source: "assumed (the method's default)".to_owned(),
    }));
    settings
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
