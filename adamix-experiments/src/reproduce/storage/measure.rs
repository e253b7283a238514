//! What is stored and what is held in memory, measured on this machine.

use std::path::Path;

use adamix_core::parameter;
use adamix_core::routing::Inference;
use adamix_keys::Key;
use adamix_models::encoder::SequenceClassifier;
use adamix_models::hub::{adapter, write};
use adamix_models::site::Adaptable;
use anyhow::{Context, Result};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::super::profile::{Place, Profile};
use super::super::{methods, table1};
use crate::config::RunConfig;
use crate::recipe::{self, Adapted, Base, Evaluator, Sitting, TaskData, is_head};

/// The file of the measurement, below a profile's results.
pub(super) const FILE: &str = "storage.json";

/// Tasks that are served at once.
const SERVED: [usize; 5] = [1, 2, 4, 8, 16];

/// Up to so many whole models are held at once.
const SEPARATE: usize = 4;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    /// The base model.
    pub base: String,
    /// Its parameters, head included.
    pub base_parameters: usize,
    /// Bytes of its tensor files.
    pub base_bytes: usize,
    /// What one task adds on disk.
    pub stored: Vec<Stored>,
    /// Resident memory as tasks are added.
    pub memory: Vec<Memory>,
}

/// What one task adds on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    /// A key.
    pub name: String,
    /// In words.
    pub label: String,
    /// Parameters in the file.
    pub parameters: usize,
    /// Bytes of the file.
    pub bytes: usize,
}

/// Resident memory with several tasks served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// Tasks.
    pub tasks: usize,
    /// Bytes with one base.
    pub shared: u64,
    /// Bytes with a model a task; not measured for many.
    pub separate: Option<u64>,
}

impl Measured {
    /// The measurement of a results folder; none if it was not made.
    pub fn read(results: &Path) -> Result<Option<Self>> {
        let path = results.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        Ok(Some(
            serde_json::from_str(&text).with_context(|| path.display().to_string())?,
        ))
    }

    /// Writes it.
    pub fn write(&self, results: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        Ok(write::atomic(&results.join(FILE), json.as_bytes())?)
    }
}

/// Measures the model of a profile's first task.
pub(super) fn measure(profile: &Profile, sitting: &Sitting) -> Result<Measured> {
    let grid = table1::EXHIBIT;
    let task = grid
        .tasks(profile)
        .into_iter()
        .next()
        .context("the profile has no task")?;
    let row = methods::row("adamix")?;
    let place = Place {
        exhibit: grid.published,
        base: &grid.table().base,
        row: &row,
        task: &task,
    };
    let config = profile.config(place, 1)?;
    let device = crate::device::open(&sitting.device)?;
    let base = Base::open(&config.model_folder()?)?;
    let data = TaskData::load(&config)?;
    let adapted = base.adapted(&config, data.task.num_outputs(), &device)?;
    let rule = config.merging.rule()?;
    let merged = adapted.with_model(adapted.model.merged(rule.as_ref())?);
    let bytes = |path: &Path| -> Result<usize> {
        let length = std::fs::metadata(path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        Ok(length.len() as usize)
    };
    let base_bytes = base
        .weights
        .paths()
        .iter()
        .map(|path| bytes(path))
        .sum::<Result<usize>>()?;
    let scratch = std::env::temp_dir().join(format!("adamix-storage-{}", std::process::id()));
    let description = merged.describe(&config, &base, &data.task, true);
    let kinds: [(&str, &str, &Adapted<SequenceClassifier>, bool); 3] = [
        ("merged-head", "AdaMix with head", &merged, true),
        ("merged", "AdaMix without head", &merged, false),
        ("experts-head", "all experts with head", &adapted, true),
    ];
    let mut stored = Vec::new();
    for (name, label, model, with_head) in kinds {
        let mut values = model.values();
        values.retain(|name, _| with_head || !is_head(name));
        adapter::save(&scratch, &description, &values)?;
        stored.push(Stored {
            name: name.to_owned(),
            label: label.to_owned(),
            parameters: values
                .values()
                .map(|tensor| tensor.shape.iter().product::<usize>())
                .sum(),
            bytes: bytes(&scratch.join(adapter::TENSORS))?,
        });
    }
    std::fs::remove_dir_all(&scratch)
        .with_context(|| format!("{}: cannot be removed", scratch.display()))?;
    let account = adapted.account();
    drop(merged);
    let memory = served(&config, &base, &data, adapted, &device)?;
    Ok(Measured {
        base: config
            .model
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
        base_parameters: account.backbone + account.head,
        base_bytes,
        stored,
        memory,
    })
}

/// Resident memory as tasks are added, each of which answers a row.
fn served(
    config: &RunConfig,
    base: &Base,
    data: &TaskData,
    adapted: Adapted<SequenceClassifier>,
    device: &Device,
) -> Result<Vec<Memory>> {
    let row = &data.dev[..1];
    let encodings = base.encode(row, base.longest_input(config))?;
    let rule = config.merging.rule()?;
    let serve = |model: &SequenceClassifier| -> Result<Evaluator> {
        let mode = recipe::Mode {
            inference: Inference::Merged,
            rule: rule.as_ref(),
            policy: config.routing.policy()?,
            paths: config.evaluation.paths,
            key: Key::new(config.seed),
            batch_size: 1,
        };
        let evaluator = Evaluator::new(model, base, &mode, device)?;
        evaluator.predict(row, &encodings, &|_| Ok(()))?;
        Ok(evaluator)
    };
    let values = adapted.values();
    let mut points = Vec::new();
    let mut tasks = Vec::new();
    for wanted in SERVED {
        while tasks.len() < wanted {
            // A task's own values on the one backbone, which the clone shares.
            let own = parameter::assign(adapted.model.clone(), values.clone())?;
            tasks.push(serve(&own)?);
        }
        points.push((wanted, resident()));
    }
    drop(tasks);
    drop(adapted);
    let mut separate = Vec::new();
    let mut whole = Vec::new();
    for wanted in SERVED.into_iter().filter(|n| *n <= SEPARATE) {
        while whole.len() < wanted {
            let own = base.adapted(config, data.task.num_outputs(), device)?;
            whole.push(serve(&own.model)?);
        }
        separate.push(resident());
    }
    let mut separate = separate.into_iter();
    let memory = points.into_iter().filter_map(|(tasks, shared)| {
        Some(Memory {
            tasks,
            shared: shared?,
            separate: separate.next().flatten(),
        })
    });
    Ok(memory.collect())
}

/// Bytes of this process in memory now, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
