//! `adamix runs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::show;
use crate::checkpoint::Lock;
use crate::run::{Filter, Measured, RunFolder, Stored, chosen, facts, find, keys, locate};
use crate::sweep::{Claims, Seen};

/// List, show, compare and remove runs of a folder.
#[derive(Debug, Args)]
#[command(after_help = "\
A run is named by its folder, or by the beginning of its id.

Examples:
  adamix runs list
  adamix runs list --runs paper-results --where task=mrpc --where 'best.accuracy>0.8'
  adamix runs show 3f2a
  adamix runs compare 3f2a 91c0
  adamix runs remove 3f2a")]
pub struct Runs {
    /// The folder of all runs; those inside it are found at any depth.
    #[arg(
        long = "runs",
        global = true,
        value_name = "DIR",
        default_value = "runs"
    )]
    store: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List runs, one a line.
    List {
        /// Only runs with this, such as task=mrpc, seed!=1, state=done or best.accuracy>0.8; may be given often.
        #[arg(long = "where", value_name = "KEY=VALUE")]
        conditions: Vec<Filter>,
    },
    /// Show one run: what it changes of the defaults, its scores, its files.
    Show {
        /// The run.
        run: String,
    },
    /// Put runs side by side: the keys in which they differ, and their scores.
    Compare {
        /// The runs.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<String>,
    },
    /// Remove run folders for good.
    Remove {
        /// The runs.
        #[arg(required = true)]
        runs: Vec<String>,
    },
}

impl Runs {
    pub fn run(self) -> Result<()> {
        match &self.verb {
            Verb::List { conditions } => self.list(conditions),
            Verb::Show { run } => self.show(run),
            Verb::Compare { runs } => self.compare(runs),
            Verb::Remove { runs } => self.remove(runs),
        }
    }

    fn list(&self, conditions: &[Filter]) -> Result<()> {
        let all: Vec<Stored> = find(&self.store)?.iter().map(Stored::read).collect();
        let said: Vec<BTreeMap<String, String>> = all.iter().map(facts).collect();
        for condition in conditions {
            let known = said.iter().any(|facts| facts.contains_key(condition.key()));
            ensure!(
                known || all.is_empty(),
                "no run says `{}`; `adamix runs show RUN --json` prints what one says",
                condition.key()
            );
        }
        let passes = |facts: &BTreeMap<String, String>| conditions.iter().all(|c| c.passes(facts));
        let found = all
            .into_iter()
            .zip(&said)
            .filter(|(_, facts)| passes(facts));
        let found: Vec<Stored> = found.map(|(run, _)| run).collect();
        if self.json {
            return show::json(&found);
        }
        say!("{}", listing(&self.store, &found))
    }

    fn show(&self, name: &str) -> Result<()> {
        let folder = locate(&self.store, name)?;
        let run = Stored::read(&folder);
        if self.json {
            return show::json(&run);
        }
        let mut text = format!("{}  {}\n", folder.path().display(), run.state());
        if let Some(fault) = &run.fault {
            text += &format!("{fault}\n");
        }
        if let Some(config) = &run.config {
            let inputs = format!("data = {:?}\nmodel = {:?}\n", config.data, config.model);
            text += &format!("\n{inputs}{}", toml::to_string(&chosen(config))?);
        }
        if let Some(result) = &run.result {
            text += "\n";
            for (name, measured) in [("best", &result.best), ("last", &result.last)] {
                let metrics = show::metrics(&measured.metrics);
                text += &format!("{name}  epoch {:>3}  {metrics}\n", measured.epoch);
            }
            let (parameters, seconds) = (&result.parameters, &result.seconds);
            text += &format!(
                "{} trained, {} after merging, head {}; {:.0} s on {}, adamix {}\n",
                parameters.trained,
                parameters.merged,
                parameters.head,
                seconds.get("total").copied().unwrap_or_default(),
                result.device,
                result.version
            );
        }
        text += &format!("{} kB on disk\n", size(folder.path())? / 1000);
        show::out(format_args!("{text}"))
    }

    fn compare(&self, names: &[String]) -> Result<()> {
        let mut runs = Vec::new();
        for name in names {
            let run = Stored::read(&locate(&self.store, name)?);
            if let Some(fault) = &run.fault {
                bail!("{}: {fault}", run.folder.display());
            }
            runs.push(run);
        }
        let names: Vec<String> = runs.iter().map(|run| run.name(&self.store)).collect();
        let configs: Vec<BTreeMap<String, String>> = runs
            .iter()
            .filter_map(|run| run.config.as_ref())
            .map(keys)
            .collect();
        let differs = |key: &&String| configs.iter().any(|c| c.get(*key) != configs[0].get(*key));
        let differing: BTreeSet<&String> = configs
            .iter()
            .flat_map(BTreeMap::keys)
            .filter(differs)
            .collect();
        let scores: Vec<BTreeMap<String, f64>> = runs.iter().map(scores).collect();
        let scored: BTreeSet<&String> = scores.iter().flat_map(BTreeMap::keys).collect();
        if self.json {
            let config: BTreeMap<_, Vec<_>> = differing
                .iter()
                .map(|key| (key, configs.iter().map(|c| c.get(*key)).collect()))
                .collect();
            let score: BTreeMap<_, Vec<_>> = scored
                .iter()
                .map(|name| (name, scores.iter().map(|s| s.get(*name)).collect()))
                .collect();
            return show::json(&json!({"runs": names, "config": config, "scores": score}));
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([String::new()].into_iter().chain(names));
        for key in differing {
            let values = configs
                .iter()
                .map(|c| c.get(key).cloned().unwrap_or_default());
            table.add_row([key.clone()].into_iter().chain(values));
        }
        for name in scored {
            let shown = |score: Option<&f64>| score.map_or("-".to_owned(), |s| number(*s));
            let values = scores.iter().map(|s| shown(s.get(name)));
            table.add_row([name.clone()].into_iter().chain(values));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        say!("{table}")
    }

    /// All are found before any is removed.
    fn remove(&self, names: &[String]) -> Result<()> {
        let mut folders: Vec<RunFolder> = Vec::new();
        for name in names {
            let folder = locate(&self.store, name)?;
            if let (Some(store), Some(id)) = (folder.path().parent(), folder.path().file_name()) {
                let claims = Claims::new(store);
                if let Seen::Running(owner) = claims.look(&id.to_string_lossy()) {
                    bail!("{}: {owner} is at it", folder.path().display());
                }
            }
            ensure!(
                folder.is_of_a_run(),
                "{}: no run wrote into it; remove it by hand",
                folder.path().display()
            );
            if folders.iter().all(|other| other.path() != folder.path()) {
                // Not held on: a file that is open stays in its folder on some network file systems.
                drop(Lock::take(folder.path())?);
                folders.push(folder);
            }
        }
        let removed: Vec<PathBuf> = folders.iter().map(|f| f.path().to_owned()).collect();
        for folder in folders {
            let path = folder.path().to_owned();
            folder.remove()?;
            if !self.json {
                say!("removed {}", path.display())?;
            }
        }
        if self.json {
            return show::json(&removed);
        }
        Ok(())
    }
}

fn listing(store: &Path, runs: &[Stored]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "run", "state", "task", "method", "seed", "metric", "best", "last", "trained", "seconds",
    ]);
    for run in runs {
        let config = run.config.as_ref();
        let of_config = |key: &str| config.and_then(|c| keys(c).remove(key)).unwrap_or_default();
        let mut row = vec![run.name(store), run.state().to_owned()];
        row.extend(["task", "adaptation.method", "seed"].map(of_config));
        if let Some(result) = &run.result {
            let score = |measured: &Measured| {
                let value = measured.metrics.get(&result.selection).copied().flatten();
                value.map_or("-".to_owned(), |value| format!("{value:.4}"))
            };
            row.push(result.selection.clone());
            row.extend([score(&result.best), score(&result.last)]);
            row.push(result.parameters.trained.to_string());
            let seconds = result.seconds.get("total");
            row.push(seconds.map_or("-".to_owned(), |s| format!("{s:.0}")));
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(6) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What compares well: metrics, trained parameters, seconds.
fn scores(run: &Stored) -> BTreeMap<String, f64> {
    let mut scores = BTreeMap::new();
    let Some(result) = &run.result else {
        return scores;
    };
    for (epoch, measured) in [("best", &result.best), ("last", &result.last)] {
        for (name, value) in &measured.metrics {
            scores.extend(value.map(|value| (format!("{epoch}.{name}"), value)));
        }
    }
    scores.insert(
        "parameters.trained".to_owned(),
        result.parameters.trained as f64,
    );
    scores.insert(
        "parameters.merged".to_owned(),
        result.parameters.merged as f64,
    );
    scores.extend(
        result
            .seconds
            .get("total")
            .map(|s| ("seconds".to_owned(), *s)),
    );
    scores
}

fn number(value: f64) -> String {
    match value.fract() == 0.0 {
        true => format!("{value}"),
        false => format!("{value:.4}"),
    }
}

/// Bytes of all files below.
fn size(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in folder.read_dir()? {
        let entry = entry?;
        total += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(total)
}
