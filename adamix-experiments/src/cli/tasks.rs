//! What many tasks on one base cost: values and bytes, said apart.

use std::path::{Path, PathBuf};

use adamix_models::hub::{self, StoredAdapter, Weights};
use anyhow::{Context, Result};
use serde_json::json;

use super::show;
use crate::recipe::is_head;
use crate::report::document::grouped;

/// One task's adapter.
struct Task {
    path: PathBuf,
    /// Values without the head.
    values: usize,
    head: usize,
    /// Of the tensors' file on disk.
    bytes: u64,
}

/// Prints or gives as JSON what each adapter adds to the base.
pub fn report(model: &Path, adapters: &[PathBuf], as_json: bool) -> Result<()> {
    let prefix = match hub::model_type(model)?.as_str() {
        "gpt2" => "transformer".to_owned(),
        family => family.to_owned(),
    };
    let weights = Weights::open(model)?;
    let shapes = weights.names().filter_map(|name| weights.shape(name));
    let base: usize = shapes.map(|shape| shape.iter().product::<usize>()).sum();
    let base_bytes = weights
        .paths()
        .iter()
        .map(|path| size(path))
        .sum::<Result<u64>>()?;
    let tasks: Vec<Task> = adapters
        .iter()
        .map(|path| task(path, &prefix))
        .collect::<Result<_>>()?;
    let times = |whole: f64, part: f64| whole / part.max(1.0);
    if as_json {
        let row = |t: &Task| {
            json!({
                "path": t.path, "values": t.values, "head": t.head, "bytes": t.bytes,
                "times_fewer_values": times(base as f64, t.values as f64),
                "times_fewer_bytes": times(base_bytes as f64, t.bytes as f64),
            })
        };
        return show::json(&json!({
            "base": {"path": model, "values": base, "bytes": base_bytes},
            "tasks": tasks.iter().map(row).collect::<Vec<_>>(),
        }));
    }
    say!("{}", model.display())?;
    say!(
        "  {:>15} values  {:>15} bytes on disk, once for all tasks",
        grouped(base),
        grouped(base_bytes as usize)
    )?;
    say!(
        "  {:>15}  {:>12}  {:>15}  {:>15}  adapter",
        "values",
        "of a head",
        "bytes on disk",
        "fewer than base"
    )?;
    for t in &tasks {
        let fewer = format!(
            "{:.0}x, {:.0}x",
            times(base as f64, t.values as f64),
            times(base_bytes as f64, t.bytes as f64)
        );
        say!(
            "  {:>15}  {:>12}  {:>15}  {fewer:>15}  {}",
            grouped(t.values),
            grouped(t.head),
            grouped(t.bytes as usize),
            t.path.display()
        )?;
    }
    let all: u64 = base_bytes + tasks.iter().map(|t| t.bytes).sum::<u64>();
    say!(
        "  {} tasks: {} bytes; as many whole models: {} bytes",
        tasks.len(),
        grouped(all as usize),
        grouped(base_bytes as usize * tasks.len())
    )?;
    say!(
        "  fewer than base: adaptation values without the head, then bytes of the file with the head"
    )?;
    Ok(())
}

fn task(path: &Path, prefix: &str) -> Result<Task> {
    let is_run = path.join("run.toml").is_file();
    let path = if is_run {
        path.join("merged/best")
    } else {
        path.to_owned()
    };
    // A loralib file's alpha changes no count.
    let stored = StoredAdapter::open(&path, prefix, Some(1.0))?;
    let (all, head) = stored.counts(is_head);
    Ok(Task {
        values: all - head,
        head,
        bytes: size(&stored.tensors())?,
        path,
    })
}

fn size(path: &Path) -> Result<u64> {
    let metadata = path
        .metadata()
        .with_context(|| path.display().to_string())?;
    Ok(metadata.len())
}
