//! A task's examples, as texts and as tokens.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::objective::Targets;
use adamix_data::{
    Columns, DataError, Example, Rows, Split, TableSpec, Target, Task, fewshot, synthetic,
};
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
    /// Rows of the training split that are kept for merging rules.
    pub kept: Vec<Example>,
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
            name => {
                let task = fewshot::task(name)?.clone();
                match config.few_shot.split {
                    0 => Self::glue(task, &folder)?,
                    number => Self::list(task, &folder, number)?,
                }
            }
        };
        if config.input.train_rows > 0 {
            data.train.truncate(config.input.train_rows);
        }
        if config.few_shot.per_class > 0 {
            let key = Key::new(config.seed).purpose("few-shot rows");
            let (classes, k) = (data.task.num_outputs(), config.few_shot.per_class);
            ensure!(
                !data.task.labels.is_empty(),
                "`few_shot.per_class` is {k}: `{}` has no classes",
                config.task
            );
            data.train = fewshot::k_per_class(&data.train, classes, k, key);
        }
        if config.input.held_out > 0.0 {
            data.hold_out(config.input.held_out);
        }
        let share = config.input.kept_for_merging;
        if share > 0.0 {
            let key = Key::new(0).purpose("rows for merging");
            let is_kept = |e: &Example| key.fold(u64::from(e.id)).uniform() < share;
            (data.kept, data.train) = data.train.into_iter().partition(is_kept);
        }
        ensure!(
            !data.train.is_empty() && !data.dev.is_empty(),
            "task `{}` has no training rows, or none to measure on",
            config.task
        );
        Ok(data)
    }

    /// Puts a share of the training rows in the place of all others that are measured.
    fn hold_out(&mut self, share: f64) {
        let rows = self.train.len();
        let held = (rows as f64 * share).round() as usize;
        let order = Key::new(0).purpose("held-out rows").permutation(rows);
        let mut is_held = vec![false; rows];
        for row in &order[..held] {
            is_held[*row as usize] = true;
        }
        let mut is_held = is_held.into_iter();
        (self.dev, self.train) = std::mem::take(&mut self.train)
            .into_iter()
            .partition(|_| is_held.next().unwrap_or_default());
        self.further.clear();
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
            kept: Vec::new(),
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
        if task.dev_splits.contains(&Split::DevMismatched) {
            match adamix_data::load(&task, folder, Split::DevMismatched) {
                Ok(rows) => {
                    hashes.push(rows.hash.clone());
                    further.insert(Split::DevMismatched.name().to_owned(), rows.examples);
                }
                Err(DataError::MissingSplit { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self {
            task,
            train: train.examples,
            dev: dev.examples,
            further,
            kept: Vec::new(),
            hash: hashes.join("+"),
        })
    }

    /// A fixed split of LiST: there is no development set, its test rows are reported on.
    fn list(task: Task, root: &Path, number: usize) -> Result<Self> {
        let (train, test) = fewshot::list_split(&task, root, number)?;
        Ok(Self {
            task,
            kept: Vec::new(),
            hash: format!("{}+{}", train.hash, test.hash),
            train: train.examples,
            dev: test.examples,
            further: BTreeMap::new(),
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
            kept: Vec::new(),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::read;

    fn ids(settings: &[&str]) -> [Vec<u32>; 2] {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let data = TaskData::load(&read(None, &settings).unwrap()).unwrap();
        [data.train, data.dev].map(|rows| rows.iter().map(|row| row.id).collect())
    }

    #[test]
    fn held_out_rows_are_training_rows_that_are_not_trained_on() {
        let [all, _] = ids(&["input.train_rows=200"]);
        let [train, held] = ids(&["input.train_rows=200", "input.held_out=0.2"]);
        assert_eq!((train.len(), held.len()), (160, 40));
        let mut both = [train.clone(), held.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, all);
        // Whatever the seed: every trial of a search is measured on the same rows.
        let other = ids(&["seed=2", "input.train_rows=200", "input.held_out=0.2"]);
        assert_eq!(other, [train, held]);
    }

    #[test]
    fn rows_of_each_class_are_drawn_among_those_that_are_used() {
        let [used, _] = ids(&["input.train_rows=100"]);
        let [drawn, _] = ids(&["input.train_rows=100", "few_shot.per_class=4"]);
        assert_eq!(drawn.len(), 8);
        assert!(drawn.iter().all(|id| used.contains(id)), "{drawn:?}");
    }

    #[test]
    fn rows_kept_for_merging_are_not_trained_on_and_are_those_of_every_seed() {
        let load = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
            let data = TaskData::load(&read(None, &settings).unwrap()).unwrap();
            let ids = |rows: &[Example]| rows.iter().map(|e| e.id).collect::<BTreeSet<u32>>();
            (ids(&data.train), ids(&data.kept))
        };
        let (whole, none) = load(&["input.train_rows=200"]);
        assert!(none.is_empty());
        let keep = ["input.train_rows=200", "input.kept_for_merging=0.25"];
        let (train, kept) = load(&keep);
        assert!(train.is_disjoint(&kept));
        assert_eq!(&train | &kept, whole);
        // Three standard deviations of 200 draws: 18.4.
        assert!((32..=68).contains(&kept.len()), "{}", kept.len());
        assert_eq!(load(&[&keep[..], &["seed=2"]].concat()), (train, kept));
    }

    #[test]
    fn a_second_development_file_may_be_absent_but_not_broken() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, label: &str| {
            let text = format!("index\tsentence1\tsentence2\tgold_label\n0\tp\th\t{label}\n");
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        for name in ["train.tsv", "dev_matched.tsv"] {
            write(name, "neutral");
        }
        let data = format!("data={}", folder.path().display());
        let config = read(None, &["task=mnli".to_owned(), data]).unwrap();
        assert!(TaskData::load(&config).unwrap().further.is_empty());
        write("dev_mismatched.tsv", "perhaps");
        let error = TaskData::load(&config).unwrap_err().to_string();
        assert!(
            error.contains("dev_mismatched.tsv:2") && error.contains("perhaps"),
            "{error}"
        );
        write("dev_mismatched.tsv", "entailment");
        assert_eq!(TaskData::load(&config).unwrap().further.len(), 1);
    }

    #[test]
    fn few_rows_of_each_class_are_drawn_by_the_seed() {
        let few = |seed: &str| ids(&[seed, "few_shot.per_class=8"]);
        let [train, dev] = few("seed=1");
        assert_eq!((train.len(), dev.len()), (16, SYNTHETIC_ROWS.1));
        assert_eq!(few("seed=1")[0], train);
        assert_ne!(few("seed=2")[0], train);
    }
}
