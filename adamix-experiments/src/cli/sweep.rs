//! `adamix sweep`.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use adamix_models::hub::write;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};

use super::show;
use crate::config;
use crate::interrupt::Interrupt;
use crate::recipe::Sitting;
use crate::sweep::{
    self, Ended, LocalOptions, Outcome, RunStatus, Seen, Spec, Status, SweepFile, SweepFolder,
};

/// Plan many runs from one file, and work them off here or on a cluster.
#[derive(Debug, Args)]
#[command(after_help = "\
A sweep file names a base config and axes; docs/sweeps.md has all its keys:

  base = \"mrpc.toml\"
  [grid]
  seed = [1, 2, 3]
  adaptation.method = [\"adapter\", \"adamix\"]
  optimizer.learning_rate = [3e-4, 1e-3, 3e-3]
  [choose]
  for_each = [\"adaptation.method\"]

Examples:
  adamix sweep run rates.toml --workers 2
  adamix sweep run rates.toml --executor slurm --devices cuda
  adamix sweep status runs/sweeps/rates
  adamix sweep choose runs/sweeps/rates
  adamix sweep plan rates.toml | cut -f 1 | parallel adamix sweep worker runs/sweeps/rates {}")]
pub struct Sweep {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the plan and print its runs, one a line: the id, a tab, the settings.
    Plan(Plan),
    /// Work off what is missing; the same command again goes on.
    Run(Run),
    /// Do one run of a plan, or any that nobody is at, until none is left.
    Worker(Worker),
    /// Say where a sweep stands.
    Status(ShowStatus),
    /// Choose the best setting by the file's [choose], and write chosen.toml.
    Choose(ShowChoice),
}

impl Sweep {
    pub fn run(self) -> Result<()> {
        match self.verb {
            Verb::Plan(verb) => verb.run(),
            Verb::Run(verb) => verb.run(),
            Verb::Worker(verb) => verb.run(),
            Verb::Status(verb) => verb.run(),
            Verb::Choose(verb) => verb.run(),
        }
    }
}

/// The sweep file and the store.
#[derive(Debug, Args)]
struct Source {
    /// The sweep's TOML.
    file: PathBuf,
    /// The store: the folder of all runs.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
}

impl Source {
    fn open(&self) -> Result<(SweepFile, SweepFolder)> {
        let file = SweepFile::read(&self.file)?;
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy();
        Ok((file, SweepFolder::new(&self.runs, &name)))
    }

    /// Plans what is known so far, and writes it.
    fn plan(&self) -> Result<(SweepFile, SweepFolder, Vec<Spec>)> {
        let (file, folder) = self.open()?;
        let specs = {
            let outcome = folder.outcomes(&file.choose);
            sweep::plan(&file, &outcome).with_context(|| self.file.display().to_string())?
        };
        // Tasks of a cluster know their runs by the line of the plan.
        if folder.specs().is_ok_and(|before| before != specs) {
            sweep::refuse_queued(&folder)?;
        }
        // Workers of another sweep of this name would find their runs gone from the plan.
        let claims = folder.claims();
        let gone = |spec: &&Spec| specs.iter().all(|planned| planned.id != spec.id);
        let busy = |spec: &&Spec| matches!(claims.look(&spec.id), Seen::Running(_));
        let known = folder.specs().unwrap_or_default();
        if let Some(spec) = known.iter().filter(gone).find(busy) {
            bail!(
                "{}: run {} of what it held before is at work; wait for it, or give the file another name",
                folder.path().display(),
                spec.id
            );
        }
        folder.write(&file, &specs)?;
        Ok((file, SweepFolder::open(folder.path())?, specs))
    }
}

#[derive(Debug, Args)]
struct Plan {
    #[command(flatten)]
    source: Source,
    /// Print one JSON object a line, with the resolved config.
    #[arg(long)]
    json: bool,
}

impl Plan {
    fn run(self) -> Result<()> {
        let (_, _, specs) = self.source.plan()?;
        let mut text = String::new();
        for spec in &specs {
            text += &match self.json {
                true => serde_json::to_string(spec)?,
                false => format!("{}\t{}", spec.id, spec.label()),
            };
            text.push('\n');
        }
        show::out(format_args!("{text}"))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Executor {
    /// Processes on this machine.
    Local,
    /// A job array of Slurm.
    Slurm,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    source: Source,
    /// Who runs the runs.
    #[arg(long, value_enum, default_value = "local")]
    executor: Executor,
    /// How many runs side by side on this machine; one a device where left out.
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    workers: Option<usize>,
    /// Where to compute, such as cuda:0,cuda:1: runs are dealt to them in turn.
    #[arg(long, value_delimiter = ',', default_value = "flex")]
    devices: Vec<String>,
}

impl Run {
    fn run(self) -> Result<()> {
        let (file, folder, specs) = self.source.plan()?;
        let program = std::env::current_exe().context("the program's own path")?;
        if let Executor::Slurm = self.executor {
            return self.submit(&file, &folder, &specs, &program);
        }
        for device in &self.devices {
            crate::device::open(device)?;
        }
        let options = LocalOptions {
            program,
            devices: self.devices,
            workers: self.workers,
            interrupt: Interrupt::on_signals()?,
        };
        sweep::run_here(&folder, &file, &options)?;
        let status = Status::read(&folder)?;
        show::out(format_args!("{}", summary(&folder, &status)?))?;
        let (failed, all) = (status.count("failed"), status.runs.len());
        ensure!(
            failed == 0,
            "{failed} of {all} runs failed; the same command tries them again"
        );
        Ok(())
    }

    fn submit(
        &self,
        file: &SweepFile,
        folder: &SweepFolder,
        specs: &[Spec],
        program: &Path,
    ) -> Result<()> {
        let [device] = &self.devices[..] else {
            bail!("a task of the array has one device; give --devices one name, such as cuda");
        };
        let outcome = folder.outcomes(&file.choose);
        let missing = |(_, spec): &(usize, &Spec)| !matches!(outcome(&spec.id), Outcome::Done(_));
        let missing = specs.iter().enumerate().filter(missing);
        let missing: Vec<usize> = missing.map(|(index, _)| index).collect();
        if missing.is_empty() {
            return show::out(format_args!("{}", summary(folder, &Status::read(folder)?)?));
        }
        let job = sweep::submit(folder, file, &missing, program, device)?;
        show::out(format_args!(
            "job {job}: {} of {} runs submitted\nadamix sweep status {}\n",
            missing.len(),
            specs.len(),
            folder.path().display()
        ))
    }
}

#[derive(Debug, Args)]
struct Worker {
    /// The sweep's folder, such as runs/sweeps/rates.
    folder: PathBuf,
    /// A run's id, or its line in the plan, counted from 0; without it, all that nobody is at.
    run: Option<String>,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
}

impl Worker {
    fn run(self) -> Result<()> {
        let folder = SweepFolder::open(&self.folder)?;
        // Before a run is claimed that would fail by it.
        crate::device::open(&self.device)?;
        let sitting = Sitting {
            progress: show::progress(),
            interrupt: Interrupt::on_signals()?,
            ..Sitting::quiet(&self.device)
        };
        let failed = Cell::new(0);
        let report = |spec: &Spec, ended: &Result<Ended>| match ended {
            // A log that cannot be written is no reason to end the sweep: the store says it too.
            Ok(Ended::Done) => drop(say!("{}  done  {}", spec.id, spec.label())),
            Ok(Ended::Found) => drop(say!("{}  found  {}", spec.id, spec.label())),
            Err(error) => {
                failed.set(failed.get() + 1);
                drop(say!("{}  failed  {}: {error:#}", spec.id, spec.label()));
            }
        };
        let Some(wanted) = &self.run else {
            sweep::work_off(&folder, &sitting, &report)?;
            let count = failed.get();
            ensure!(count == 0, "{count} runs failed, as said above");
            return Ok(());
        };
        let specs = folder.specs()?;
        let index = wanted.parse::<usize>().ok().filter(|_| wanted.len() < 16);
        let spec = match index {
            Some(index) => specs.get(index),
            None => specs.iter().find(|spec| spec.id == *wanted),
        };
        let spec = spec.with_context(|| {
            format!(
                "{}: no run `{wanted}` among its {}",
                self.folder.display(),
                specs.len()
            )
        })?;
        let ended = sweep::work_at(&folder, spec, &sitting)?;
        report(spec, &Ok(ended));
        Ok(())
    }
}

#[derive(Debug, Args)]
struct ShowStatus {
    /// The sweep's folder, such as runs/sweeps/rates.
    folder: PathBuf,
    /// Print every run as JSON.
    #[arg(long)]
    json: bool,
    /// Print every run as comma-separated values.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl ShowStatus {
    fn run(self) -> Result<()> {
        let folder = SweepFolder::open(&self.folder)?;
        let status = Status::read(&folder)?;
        if self.json {
            return show::json(&status);
        }
        let text = match self.csv {
            true => sweep::write_table(&status)?,
            false => summary(&folder, &status)?,
        };
        show::out(format_args!("{text}"))
    }
}

#[derive(Debug, Args)]
struct ShowChoice {
    /// The sweeps' folders, such as runs/sweeps/rates.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Where the cases of all go; each sweep's own folder without it.
    #[arg(long, value_name = "FILE.toml")]
    to: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl ShowChoice {
    fn run(self) -> Result<()> {
        if let Some(to) = self.to.as_ref().filter(|to| to.exists()) {
            let table = config::read_table(to).ok();
            ensure!(
                table.is_some_and(|table| table.keys().all(|key| key == "case")),
                "{}: holds something other than chosen cases; name another file",
                to.display()
            );
        }
        let mut all = Vec::new();
        let mut texts = Vec::new();
        for path in &self.folders {
            let folder = SweepFolder::open(path)?;
            let file = folder.file()?;
            let outcome = folder.outcomes(&file.choose);
            let choices = sweep::choose(&file, &folder.specs()?, &outcome)?;
            let text = sweep::write_cases(&file, &folder.name(), &choices)?;
            texts.push((folder.path().join("chosen.toml"), text));
            all.extend(choices);
        }
        if let Some(path) = self.to {
            let together: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
            texts = vec![(path, together.join("\n"))];
        }
        for (path, text) in &texts {
            write::atomic(path, text.as_bytes())?;
        }
        if self.json {
            return show::json(&all);
        }
        for (path, text) in &texts {
            show::out(format_args!("{text}\n# {}\n", path.display()))?;
        }
        Ok(())
    }
}

/// Counts, failures, and a table of settings with their mean over seeds.
fn summary(folder: &SweepFolder, status: &Status) -> Result<String> {
    let counts: Vec<String> = status
        .counts
        .iter()
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    let mut text = format!(
        "{}: {} runs: {}\n",
        folder.name(),
        status.runs.len(),
        counts.join(", ")
    );
    for run in status.runs.iter().filter(|run| run.state == "failed") {
        let message = run.message.as_deref().unwrap_or_default();
        text += &format!("failed {}: {message}\n", run.id);
    }
    text += &format!("{}\n", by_setting(status, &folder.file()?.choose.name()));
    Ok(text)
}

fn by_setting(status: &Status, value: &str) -> Table {
    let keys = status.runs.iter().flat_map(|run| run.settings.keys());
    let mut short = sweep::short_names(keys);
    short.remove("seed");
    let mut settings: Vec<(Vec<String>, Vec<&RunStatus>)> = Vec::new();
    for run in &status.runs {
        let name = short
            .keys()
            .map(|key| run.settings.get(key).map_or(String::new(), config::plain));
        let name: Vec<String> = name.collect();
        match settings.iter_mut().find(|(n, _)| *n == name) {
            Some((_, runs)) => runs.push(run),
            None => settings.push((name, vec![run])),
        }
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let columns = short.values().map(String::as_str);
    table.set_header(columns.chain(["done", value, "sd"]));
    for (name, runs) in settings {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.value).collect();
        let (mean, deviation) = moments(&values);
        let done = runs.iter().filter(|run| run.state == "done").count();
        let done = format!("{done}/{}", runs.len());
        table.add_row(name.into_iter().chain([done, mean, deviation]));
    }
    for column in table.column_iter_mut().skip(short.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Mean and standard deviation of a sample, with a dash for what is not defined.
fn moments(values: &[f64]) -> (String, String) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let shown = |number: f64| match number.is_finite() {
        true => format!("{number:.4}"),
        false => "-".to_owned(),
    };
    let deviation = if values.len() > 1 {
        variance.sqrt()
    } else {
        f64::NAN
    };
    (shown(mean), shown(deviation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sample_does_not_define_is_a_dash() {
        let pair = |mean: &str, deviation: &str| (mean.to_owned(), deviation.to_owned());
        assert_eq!(moments(&[]), pair("-", "-"));
        assert_eq!(moments(&[0.5]), pair("0.5000", "-"));
        assert_eq!(moments(&[1.0, 3.0]), pair("2.0000", "1.4142"));
    }
}
