//! `adamix doctor`.

use std::path::{Path, PathBuf};

use adamix_data::{Split, Task};
use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::show;
use crate::recipe::Base;

/// Say which devices, models and data the program finds.
#[derive(Debug, Args)]
pub struct Doctor {
    /// A folder to look for models and data in; by default $ADAMIX_SHARED or ../shared.
    #[arg(long)]
    shared: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub fn run(self) -> Result<()> {
        let given = self
            .shared
            .or_else(|| std::env::var_os("ADAMIX_SHARED").map(PathBuf::from));
        let shared = given.unwrap_or_else(|| PathBuf::from("../shared"));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = format!("{:?}", adamix_kernels::cpu_features());
        let models = models(&shared.join("models"));
        let tasks = tasks(&shared.join("data/glue"));
        if self.json {
            return show::json(&json!({
                "version": env!("CARGO_PKG_VERSION"), "devices": crate::device::NAMES, "threads": threads, "cpu": cpu,
                "models": models, "glue": tasks,
            }));
        }
        say!("adamix {}", env!("CARGO_PKG_VERSION"))?;
        say!(
            "devices   {} ({threads} threads; {cpu})",
            crate::device::NAMES.join(", ")
        )?;
        say!("looked in {}", shared.display())?;
        for (name, found) in models {
            say!("model     {name}: {found}")?;
        }
        for (name, found) in tasks {
            say!("data      {name}: {found}")?;
        }
        Ok(())
    }
}

fn models(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| p.join("config.json").is_file())
        .collect();
    folders.sort();
    let describe = |path: PathBuf| {
        let found = match Base::open(&path) {
            Ok(base) => format!(
                "{} layers x {}, hash {}",
                base.config.num_hidden_layers,
                base.config.hidden_size,
                &base.hash[..12]
            ),
            Err(error) => format!("unusable: {error:#}"),
        };
        (
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            found,
        )
    };
    folders.into_iter().map(describe).collect()
}

fn tasks(folder: &Path) -> Vec<(String, String)> {
    let describe = |task: &Task| {
        let rows = |split| adamix_data::load(task, folder, split).map(|rows| rows.examples.len());
        let found = match (rows(Split::Train), rows(Split::Dev)) {
            (Ok(train), Ok(dev)) => format!("{train} training rows, {dev} development rows"),
            (Err(error), _) | (_, Err(error)) => format!("not usable: {error}"),
        };
        (task.name.clone(), found)
    };
    Task::glue().iter().map(describe).collect()
}
