//! The plan, told and not run: every run with its cost, every setting with its source.

use anyhow::Result;
use serde::Serialize;

use super::estimate::{Estimate, Shape, estimate};
use super::plan::Job;
use super::profile::{Profile, Size};
use super::settings::{DEFAULT, Setting};
use super::want::Mode;
use crate::config::{RunConfig, dotted, plain};
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
    /// Its memory in bytes, where that is known.
    pub memory: Option<f64>,
    /// What holds where a run does not name it: the program's defaults, but for those that every run names.
    pub assumed: Vec<Setting>,
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
    /// Whether that is more memory than the machine has.
    pub exceeds_memory: bool,
    /// Which epoch is shown.
    pub shown: Setting,
    /// Other cells that it is for, as `exhibit/row/task`.
    pub also_for: Vec<String>,
    /// What it sets, each value with its source; all else is as [`DryRun::assumed`] says.
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
            let rule = profile.rule_of(&job.want.exhibit);
            let done = job.is_done(records, rule);
            let modes = if done {
                job.modes.clone()
            } else {
                job.all_modes()
            };
            let cost = cost(profile, job, &modes)?;
            if let Some(cost) = cost {
                total.steps += cost.steps;
                total.flops += cost.flops;
                total.bytes = total.bytes.max(cost.bytes);
                total.seconds += cost.seconds;
            }
            let memory = profile.machine.memory;
            runs.push(PlannedRun {
                title: job.title(),
                exhibit: job.want.exhibit.clone(),
                row: job.want.row.key.to_owned(),
                task: job.want.task.clone(),
                seed: job.config.seed,
                done,
                exceeds_memory: memory.is_some_and(|m| cost.is_some_and(|c| c.bytes > m)),
                cost,
                shown: Setting {
                    key: "rule".to_owned(),
                    value: rule.name().into(),
                    source: profile.rule_source(rule).to_owned(),
                },
                also_for: job.cells.iter().skip(1).cloned().collect(),
                settings: settings(job),
                measured_also: modes.iter().map(|mode| mode.name()).collect(),
            });
        }
        Ok(Self {
            profile: profile.name.clone(),
            about: profile.about.join(" "),
            machine: profile.machine.name.clone(),
            memory: profile.machine.memory,
            assumed: defaults(jobs, &runs)?,
            runs,
            total,
        })
    }

    /// The plan to read.
    pub fn text(&self) -> String {
        let mut out = format!("profile {}: {}\n", self.profile, self.about);
        out += &format!("time is for {}\n", self.machine);
        let (text, all): (Vec<&Setting>, Vec<&Setting>) =
            (self.assumed.iter()).partition(|setting| setting.key.starts_with(TEXT));
        out += &format!("assumed, where a run does not name it: {}\n", values(all));
        if !text.is_empty() {
            out += &format!("and where text is generated: {}\n", values(text));
        }
        for run in &self.runs {
            let state = if run.done { ", done" } else { "" };
            out += &format!("\n{}{state}", run.title);
            if let Some(cost) = &run.cost {
                out += &format!(": {}", line(cost));
            }
            out += "\n";
            if let (true, Some(cost), Some(memory)) = (run.exceeds_memory, &run.cost, self.memory) {
                out += &format!(
                    "    too large: {:.1} GB, and the machine has {:.1} GB\n",
                    cost.bytes / 1e9,
                    memory / 1e9
                );
            }
            if !run.also_for.is_empty() {
                out += &format!("    also for: {}\n", run.also_for.join(", "));
            }
            for group in run.settings.chunk_by(|a, b| a.source == b.source) {
                out += &format!("    {}: {}\n", group[0].source, values(group));
            }
            let Setting { value, source, .. } = &run.shown;
            out += &format!("    shown: the {} epoch ({source})\n", plain(value));
            if !run.measured_also.is_empty() {
                out += &format!("    measured also: {}\n", run.measured_also.join(", "));
            }
        }
        let done = self.runs.iter().filter(|run| run.done).count();
        let all = self.runs.len();
        out += &format!("\n{all} runs, {done} done: {}\n", line(&self.total));
        out
    }
}

/// A job's estimate; none where the data's size is not known.
fn cost(profile: &Profile, job: &Job, modes: &[Mode]) -> Result<Option<Estimate>> {
    let base = match job.config.model.rsplit('/').next() {
        Some(name) if !name.is_empty() => name,
        _ => job.want.base.as_str(),
    };
    let shape = Shape::named(base)?;
    let size: Option<&Size> = profile.sizes.get(&job.want.task);
    let machine = &profile.machine;
    Ok(size.map(|size| estimate(&job.config, shape, *size, modes, machine)))
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

/// Parts of a run's settings that decide what is learnt or measured.
const SECTIONS: [&str; 9] = [
    "adaptation.",
    "backbone.",
    "consistency.",
    "evaluation.",
    "input.",
    "merging.",
    "optimizer.",
    "routing.",
    "schedule.",
];

/// The same where text is generated.
const TEXT: &str = "generation.";

/// The defaults of the settings that decide what the jobs come to, and that not every run names.
fn defaults(jobs: &[Job], runs: &[PlannedRun]) -> Result<Vec<Setting>> {
    let generates = jobs.iter().any(|job| job.config.corpus().is_some());
    let counts = |key: &str| {
        SECTIONS.iter().any(|section| key.starts_with(section))
            || (generates && key.starts_with(TEXT))
    };
    let names = |run: &PlannedRun, key: &str| run.settings.iter().any(|s| s.key == key);
    let named = |key: &str| !runs.is_empty() && runs.iter().all(|run| names(run, key));
    let table = toml::Table::try_from(RunConfig::default())?;
    let keys = dotted(&table).into_iter();
    let keys = keys.filter(|(key, _)| counts(key) && !named(key));
    let setting = |(key, value)| Setting {
        key,
        value,
        source: DEFAULT.to_owned(),
    };
    Ok(keys.map(setting).collect())
}

/// `key = value, key = value`.
fn values<'a>(settings: impl IntoIterator<Item = &'a Setting>) -> String {
    let one = |setting: &Setting| format!("{} = {}", setting.key, setting.value);
    let all: Vec<String> = settings.into_iter().map(one).collect();
    all.join(", ")
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::reproduce::{Choice, named, plan};

    fn planned(profile: &Profile, exhibit: &str) -> (DryRun, Vec<Job>) {
        let jobs = plan(profile, &named(exhibit).unwrap(), &Choice::default()).unwrap();
        let dry = DryRun::new(profile, &jobs, &Records::default()).unwrap();
        (dry, jobs)
    }

    #[test]
    fn every_setting_of_a_run_is_told_of() {
        let profile = Profile::named("paper").unwrap();
        for (exhibit, generates) in [("table1", false), ("table3", true)] {
            let (dry, jobs) = planned(&profile, exhibit);
            let text = dry.text();
            for (run, job) in dry.runs.iter().zip(&jobs) {
                let told = run.settings.iter().chain(&dry.assumed);
                let told: BTreeSet<&str> = told.map(|setting| setting.key.as_str()).collect();
                // What is recorded of a run or read by other tasks alone needs no source.
                let silent = ["checkpoint.", "custom.", "few_shot.", "prompt."];
                let silent = |key: &str| {
                    silent.iter().any(|s| key.starts_with(s))
                        || (!generates && key.starts_with(TEXT))
                };
                let config = toml::Table::try_from(&job.config).unwrap();
                for key in dotted(&config).keys().filter(|key| !silent(key)) {
                    assert!(told.contains(key.as_str()), "{}: {key}", run.title);
                }
                let rule = if generates { "last" } else { "best" };
                assert_eq!(run.shown.value, rule.into(), "{}", run.title);
                assert!(run.shown.source.contains("released"), "{}", run.title);
            }
            for key in [
                "merging.rule = ",
                "routing.policy = ",
                "evaluation.inference = ",
            ] {
                assert!(text.contains(key), "{exhibit}: no {key}");
            }
            assert_eq!(text.contains("generation.beams = "), generates, "{exhibit}");
            assert!(text.contains(&format!(
                "shown: the {} epoch (",
                ["best", "last"][usize::from(generates)]
            )));
            let json = serde_json::to_value(&dry).unwrap();
            assert_eq!(json["assumed"][0]["source"], DEFAULT);
        }
    }

    #[test]
    fn a_run_too_large_for_the_machine_says_so() {
        let mut profile = Profile::named("paper").unwrap();
        let (dry, _) = planned(&profile, "all");
        let large: Vec<&str> = (dry.runs.iter().filter(|run| run.exceeds_memory))
            .map(|run| run.title.as_str())
            .collect();
        assert!(large.is_empty(), "{large:?}");
        profile.machine.memory = Some(16e9);
        let (dry, _) = planned(&profile, "table1");
        let line = |run: &PlannedRun| {
            let row = |row: &str| run.row == row && run.task == "mnli";
            match row("adamix") {
                true => assert!(run.exceeds_memory),
                false => assert!(!row("lora") || !run.exceeds_memory),
            }
        };
        dry.runs.iter().for_each(line);
        let text = dry.text();
        assert!(text.contains("GB, and the machine has 16.0 GB"), "{text}");
    }
}
