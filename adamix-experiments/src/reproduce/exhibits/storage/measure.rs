//! What is stored and what is held in memory, measured on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use adamix_core::account::MARK;
use adamix_core::parameter;
use adamix_data::Example;
use adamix_models::encoder::SequenceClassifier;
use adamix_models::hub::adapter;
use adamix_models::hub::write::{self, Precision};
use adamix_models::site::Adaptable;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::table1;
use crate::config::RunConfig;
use crate::recipe::{Adapted, Base, Sitting, TaskData, is_head};
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::selector::Place;

/// The file of the measurement, below a profile's results.
pub(super) const FILE: &str = "storage.json";

/// Tasks that are served at once.
const SERVED: [usize; 5] = [1, 2, 4, 8, 16];

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    /// The base model.
    pub base: String,
    /// Its parameters, head included.
    pub base_parameters: usize,
    /// Those of the head.
    pub head_parameters: usize,
    /// Bytes of its tensor files.
    pub base_bytes: usize,
    /// Bytes of a whole model that was fine-tuned, f32.
    pub full_bytes: usize,
    /// What one task adds on disk.
    pub stored: Vec<Stored>,
    /// Memory as tasks are added.
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
    /// Whether a head is in it.
    pub with_head: bool,
}

/// Memory with several tasks served from one base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// Tasks.
    pub tasks: usize,
    /// Bytes of the process that serves them.
    pub bytes: u64,
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
    // What is trainable is known on a device that differentiates alone.
    let device = crate::device::open(&sitting.device)?.autodiff();
    let base = Base::open(&config.model_folder()?)?;
    let data = TaskData::load(&config)?;
    let adapted = base.adapted(&config, &data.task, &device)?;
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
    let description = merged.describe(&config, &base, &data.task, true)?;
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
            with_head,
        });
    }
    // A whole model, as full fine-tuning would have to keep it.
    let whole = parameter::export(&merged.model, |info| !info.name.contains(MARK));
    write::safetensors(&scratch.join("whole.safetensors"), &whole, Precision::F32)?;
    let full_bytes = bytes(&scratch.join("whole.safetensors"))?;
    adapter::save(&scratch, &description, &merged.values())?;
    let memory = served(&config, &data.dev[0], &scratch, sitting)?;
    std::fs::remove_dir_all(&scratch)
        .with_context(|| format!("{}: cannot be removed", scratch.display()))?;
    let account = adapted.account();
    let name = config.model.rsplit('/').next();
    Ok(Measured {
        base: name.unwrap_or_default().to_owned(),
        base_parameters: account.backbone + account.head,
        head_parameters: account.head,
        base_bytes,
        full_bytes,
        stored,
        memory,
    })
}

/// Peak memory of this very program while it serves a row for as many tasks at once: `adamix predict` with an adapter a
/// task. Every task has read its own.
fn served(
    config: &RunConfig,
    row: &Example,
    adapter: &Path,
    sitting: &Sitting,
) -> Result<Vec<Memory>> {
    let input = adapter.join("row.jsonl");
    let mut text = json!({"sentence1": row.first});
    if let Some(second) = &row.second {
        text["sentence2"] = json!(second);
    }
    write::atomic(&input, text.to_string().as_bytes())?;
    let mut points = Vec::new();
    for tasks in SERVED {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("predict")
            .arg("--model")
            .arg(config.model_folder()?);
        for _ in 0..tasks {
            command.arg("--adapter").arg(adapter);
        }
        command.arg("--input").arg(&input);
        command.arg("--output").arg(adapter.join("served.jsonl"));
        command.arg("--device").arg(&sitting.device);
        if let Some(bytes) = peak(&mut command)? {
            points.push(Memory { tasks, bytes });
        }
    }
    Ok(points)
}

/// The largest resident memory of a process, where the system tells.
fn peak(command: &mut Command) -> Result<Option<u64>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut largest = None;
    loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            largest = largest.max(high_water_mark(&text));
        }
        if let Some(ended) = child.try_wait()? {
            ensure!(
                ended.success(),
                "`adamix predict` failed while its memory was measured"
            );
            return Ok(largest);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes, from a process's status.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\tadamix\nVmPeak:\t  900 kB\nVmHWM:\t  512 kB\nVmRSS:\t  100 kB\n";
        assert_eq!(high_water_mark(status), Some(524_288));
        assert_eq!(high_water_mark("Name:\tadamix\n"), None);
    }
}
