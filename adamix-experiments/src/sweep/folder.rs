//! The folder of a sweep, inside the store of its runs.

use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};

use adamix_models::hub::write;
use anyhow::{Context, Result, bail};

use super::claim::{Claims, Seen};
use super::criterion::Choose;
use super::file::SweepFile;
use super::outcome::Outcome;
use super::plan::Spec;
use crate::config;
use crate::run::{RunFolder, RunResult};

/// `<store>/sweeps/<name>`.
#[derive(Clone, Debug)]
pub struct SweepFolder {
    path: PathBuf,
    store: PathBuf,
}

impl SweepFolder {
    /// The place of a sweep of that name.
    pub fn new(store: &Path, name: &str) -> Self {
        Self {
            path: store.join("sweeps").join(name),
            store: store.to_owned(),
        }
    }

    /// A folder that holds a plan.
    ///
    /// # Errors
    /// If it does not.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.join("plan.jsonl").is_file() {
            bail!(
                "{}: not the folder of a sweep, it has no plan.jsonl; `adamix sweep plan FILE` writes one",
                path.display()
            );
        }
        let full = path
            .canonicalize()
            .with_context(|| path.display().to_string())?;
        let store = full.parent().and_then(Path::parent);
        let store = store.with_context(|| format!("{}: is in no store", path.display()))?;
        Ok(Self {
            store: store.to_owned(),
            path: full,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sweep's name.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Where a run's folder is.
    pub fn run(&self, id: &str) -> PathBuf {
        self.store.join(id)
    }

    /// Where what a run printed goes.
    pub fn log(&self, id: &str) -> PathBuf {
        self.path.join("logs").join(format!("{id}.log"))
    }

    /// The claims of the store.
    pub fn claims(&self) -> Claims {
        Claims::new(&self.store)
    }

    /// What is known of runs of the store, by their ids.
    pub fn outcomes(&self, choose: &Choose) -> impl Fn(&str) -> Outcome {
        let claims = self.claims();
        move |id| match self.result(id) {
            Some(result) => Outcome::Done(choose.score(&result)),
            None if matches!(claims.look(id), Seen::Failed(_)) => Outcome::Failed,
            None => Outcome::Missing,
        }
    }

    /// The result of a run that is done.
    pub(super) fn result(&self, id: &str) -> Option<RunResult> {
        let run = RunFolder::open(&self.run(id)).ok()?;
        run.result().ok()
    }

    /// Writes the sweep and its plan, if they are not there yet.
    pub fn write(&self, file: &SweepFile, specs: &[Spec]) -> Result<()> {
        create_dir_all(self.path.join("logs"))
            .with_context(|| format!("{}: cannot be created", self.path.display()))?;
        let mut plan = String::new();
        for spec in specs {
            plan += &serde_json::to_string(spec)?;
            plan.push('\n');
        }
        let lock = File::create(self.path.join(".lock"))?;
        lock.lock()
            .with_context(|| format!("{}: cannot be locked", self.path.display()))?;
        for (name, text) in [("sweep.toml", toml::to_string(file)?), ("plan.jsonl", plan)] {
            let path = self.path.join(name);
            if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
                write::atomic(&path, text.as_bytes())?;
            }
        }
        Ok(())
    }

    /// The sweep, as it was planned.
    pub fn file(&self) -> Result<SweepFile> {
        let path = self.path.join("sweep.toml");
        config::typed(config::read_table(&path)?).with_context(|| path.display().to_string())
    }

    /// The plan.
    pub fn specs(&self) -> Result<Vec<Spec>> {
        let path = self.path.join("plan.jsonl");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        let line = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}: line {}", path.display(), number + 1))
        };
        text.lines().enumerate().map(line).collect()
    }
}
