//! A task's examples, as texts and as tokens.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::objective::Targets;
use adamix_data::{Columns, Example, Rows, Split, TableSpec, Target, Task, synthetic};
use adamix_keys::Key;
use anyhow::{Context, Result, bail, ensure};

use crate::config::{Custom, RunConfig, Schedule};

/// Rows of the synthetic task: training, development.
const SYNTHETIC_ROWS: (usize, usize) = (2400, 500);

/// The splits that a run needs.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// The task.
    pub task: Task,
    /// Rows to train on.
    pub train: Vec<Example>,
    /// Rows of the training split that are kept from training (`input.held_out`).
    pub held_out: Vec<Example>,
    /// Rows to select and report on.
    pub dev: Vec<Example>,
    /// Further development splits by name.
    pub further: BTreeMap<String, Vec<Example>>,
    /// Hash of all files.
    pub hash: String,
}

impl TaskData {
    /// Reads the task of a config.
    pub fn load(config: &RunConfig) -> Result<Self> {
        let folder = config.data_folder()?;
        let mut data = match config.task.as_str() {
            "synthetic" => Self::synthetic(),
            "custom" => Self::custom(&config.custom, &folder)?,
            name => Self::glue(Task::by_name(name)?.clone(), &folder)?,
        };
        if config.input.train_rows > 0 {
            data.train.truncate(config.input.train_rows);
        }
        let held_out = config.input.held_out;
        if held_out > 0.0 {
            let key = Key::new(0).purpose("held out");
            let is_held = |e: &Example| key.fold(u64::from(e.id)).uniform() < held_out;
            (data.held_out, data.train) = data.train.into_iter().partition(is_held);
        }
        ensure!(
            !data.train.is_empty(),
            "task `{}` has no training rows",
            config.task
        );
        Ok(data)
    }

    /// The project's own task, generated anew: the same on every machine.
    fn synthetic() -> Self {
        let key = Key::new(0).purpose("synthetic task");
        let (train, dev) = SYNTHETIC_ROWS;
        Self {
            task: synthetic::task(),
            train: synthetic::generate(key.purpose("train"), train),
            dev: synthetic::generate(key.purpose("dev"), dev),
            further: BTreeMap::new(),
            held_out: Vec::new(),
            hash: format!("synthetic-1-{train}-{dev}"),
        }
    }

    fn glue(task: Task, folder: &Path) -> Result<Self> {
        ensure!(
            !folder.as_os_str().is_empty(),
            "`data` is not set: give the folder of {} or of all GLUE tasks",
            task.name
        );
        let train = adamix_data::load(&task, folder, Split::Train)?;
        let dev = adamix_data::load(&task, folder, Split::Dev)?;
        let mut further = BTreeMap::new();
        let mut hashes = vec![train.hash.clone(), dev.hash.clone()];
        if task.dev_splits.contains(&Split::DevMismatched)
            && let Ok(rows) = adamix_data::load(&task, folder, Split::DevMismatched)
        {
            hashes.push(rows.hash.clone());
            further.insert(Split::DevMismatched.name().to_owned(), rows.examples);
        }
        Ok(Self {
            task,
            train: train.examples,
            dev: dev.examples,
            further,
            held_out: Vec::new(),
            hash: hashes.join("+"),
        })
    }

    fn custom(custom: &Custom, folder: &Path) -> Result<Self> {
        for (key, value) in [
            ("custom.first", &custom.first),
            ("custom.label", &custom.label),
        ] {
            ensure!(
                !value.is_empty(),
                "`{key}` is not set: a task of your own needs its column"
            );
        }
        let second = Some(custom.second.as_str()).filter(|name| !name.is_empty());
        let columns = Columns::new(&custom.first, second, &custom.label);
        let task = if custom.labels.is_empty() {
            Task::regression("custom", columns)
        } else {
            Task::classification("custom", custom.labels.clone(), columns)?
        };
        let rows = |name: &str| -> Result<Rows> {
            let file = ["tsv", "csv", "jsonl"]
                .iter()
                .map(|e| folder.join(format!("{name}.{e}")))
                .find(|p| p.is_file());
            let file = file.with_context(|| {
                format!(
                    "{}: no {name}.tsv, {name}.csv or {name}.jsonl",
                    folder.display()
                )
            })?;
            Ok(TableSpec::new(file, &task.columns).load(&task)?)
        };
        let (train, dev) = (rows("train")?, rows("dev")?);
        let hash = format!("{}+{}", train.hash, dev.hash);
        Ok(Self {
            task,
            train: train.examples,
            dev: dev.examples,
            further: BTreeMap::new(),
            held_out: Vec::new(),
            hash,
        })
    }
}

/// The targets of a batch.
///
/// # Errors
/// If an example has no label.
pub fn targets(task: &Task, examples: &[&Example]) -> Result<Targets> {
    if task.is_regression() {
        let score = |e: &&Example| {
            e.target
                .score()
                .with_context(|| format!("row {} has no score", e.id))
        };
        return Ok(Targets::Scores(
            examples.iter().map(score).collect::<Result<_>>()?,
        ));
    }
    let class = |e: &&Example| match e.target {
        Target::Class(class) => Ok(class),
        _ => bail!("row {} has no label", e.id),
    };
    Ok(Targets::Classes(
        examples.iter().map(class).collect::<Result<_>>()?,
    ))
}

/// Optimiser steps of a run over `rows` training rows.
pub fn number_of_steps(schedule: &Schedule, rows: usize) -> usize {
    let steps = rows
        .div_ceil(schedule.batch_size)
        .div_ceil(schedule.accumulation)
        * schedule.epochs;
    if schedule.max_steps > 0 {
        steps.min(schedule.max_steps)
    } else {
        steps
    }
}
