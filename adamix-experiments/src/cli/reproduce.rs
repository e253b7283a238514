//! `adamix reproduce`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::show;
use crate::interrupt::Interrupt;
use crate::recipe::Sitting;
use crate::report::Records;
use crate::reproduce::{self, Choice, DryRun, FOLDER, Profile};

/// Run what a table or figure of the paper needs, and write it beside the paper's own numbers.
#[derive(Debug, Args)]
#[command(after_help = "\
Runs are done in the order of their worth and recorded as they come; the same command again goes on where it was \
stopped. A run that is trained is measured in all modes that any table wants of it. Tables come from the records alone.

Profiles: smoke (what the program carries, a minute), laptop (small models on real data, evenings), paper (the exact \
models; see --dry-run).

Examples:
  adamix reproduce all --profile smoke
  adamix reproduce table1 --profile paper --dry-run
  adamix reproduce table8 --profile laptop --seeds 1 --only adamix,no-sharing")]
pub struct Reproduce {
    /// A table or figure, such as table1, figure5 or storage; or all.
    name: String,
    /// Which models, data and settings.
    #[arg(long, default_value = "smoke")]
    profile: String,
    /// How many seeds, where not as the profile says.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Rows by their keys.
    #[arg(long, value_delimiter = ',', value_name = "ROW,...")]
    only: Vec<String>,
    /// Print the plan: every run with its cost, every setting with its source.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: print the plan as JSON.
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Where records, tables and figures go; the profile's folder of paper-results without it.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Where the runs' folders go.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    store: PathBuf,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
}

impl Reproduce {
    pub fn run(self) -> Result<()> {
        let profile = Profile::named(&self.profile)?;
        let exhibits = reproduce::named(&self.name)?;
        let choice = Choice {
            seeds: self.seeds,
            only: self.only,
        };
        let jobs = reproduce::plan(&profile, &exhibits, &choice)?;
        let results = self
            .results
            .unwrap_or_else(|| PathBuf::from(FOLDER).join(&profile.name));
        let mut records = Records::read(&results)?;
        if self.dry_run {
            let plan = DryRun::new(&profile, &jobs, &records)?;
            return match self.json {
                true => show::json(&plan),
                false => show::out(format_args!("{}", plan.text())),
            };
        }
        let sitting = Sitting {
            progress: show::progress(),
            interrupt: Interrupt::on_signals()?,
            ..Sitting::quiet(&self.device)
        };
        let mut tell = |line: &str| sitting.progress.suspend(|| eprintln!("{line}"));
        let done = reproduce::work(
            &profile,
            &jobs,
            &mut records,
            &self.store,
            &sitting,
            &mut tell,
        )?;
        for exhibit in &exhibits {
            exhibit.measure(&profile, &results, &sitting)?;
        }
        sitting.progress.finish_and_clear();
        // All of them: the page of a profile is whole, whatever was asked for now.
        let files = reproduce::render(&profile, &reproduce::exhibits(), &records)?;
        let written = reproduce::publish(&results, &files)?;
        say!(
            "{}: {} runs done now, {} recorded before; {written} files in {}",
            self.name,
            done.new,
            done.before,
            results.display()
        )?;
        if let Some((title, error)) = done.failed.first() {
            bail!(
                "{} runs failed, the first {title}: {error}",
                done.failed.len()
            );
        }
        Ok(())
    }
}
