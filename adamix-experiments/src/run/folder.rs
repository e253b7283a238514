//! The folder of one run.

use std::path::{Path, PathBuf};

use adamix_models::hub::write;
use anyhow::{Context, Result, bail};

use super::{Identity, JsonLines, RunResult};
use crate::checkpoint::{Store, lock};
use crate::config::{self, RunConfig};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

/// What a folder says to a run that wants it.
#[derive(Debug)]
pub enum Started {
    /// It is the run's own: empty, or with a checkpoint of this very run.
    Mine(RunFolder, Store),
    /// This very run is already there, whole.
    Done(Box<RunResult>),
}

impl RunFolder {
    /// A folder that holds a run.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self {
            path: path.to_owned(),
        };
        if !folder.file("run.toml").is_file() {
            bail!("{}: not a run folder, it has no run.toml", path.display());
        }
        Ok(folder)
    }

    /// Takes a folder for a run. A whole run of the same identity is returned as it is; a checkpoint of it is
    /// gone on from; the remains of one that never got that far, this or another, are written anew; the folder of
    /// another run that did is refused, and a `run.toml` by hand.
    pub fn start(path: &Path, config: &RunConfig, identity: &Identity) -> Result<Started> {
        let folder = Self {
            path: path.to_owned(),
        };
        if let Some(result) = folder.whole(identity)? {
            Store::discard(path);
            return Ok(Started::Done(result));
        }
        if !folder.file("run.toml").is_file() && folder.is_foreign() {
            bail!(
                "{}: not empty and not a run folder; choose another --out",
                path.display()
            );
        }
        let store = Store::claim(path, identity.origin(config))?;
        // Another program may have ended this run before the folder was free.
        if let Some(result) = folder.whole(identity)? {
            return Ok(Started::Done(result));
        }
        if !store.exists() {
            folder.refuse_by_hand()?;
            store.remove()?;
            folder.clear()?;
        }
        write::atomic(
            &folder.file("run.toml"),
            toml::to_string(config)?.as_bytes(),
        )?;
        Ok(Started::Mine(folder, store))
    }

    /// The result of this very run, if the folder holds it.
    fn whole(&self, identity: &Identity) -> Result<Option<Box<RunResult>>> {
        if !self.file("result.json").is_file() {
            return Ok(None);
        }
        let result = self.result()?;
        if result.identity == *identity {
            return Ok(Some(Box::new(result)));
        }
        bail!(
            "{}: holds another run ({}); choose another --out",
            self.path.display(),
            result.identity.id
        );
    }

    /// Refuses a `run.toml` that nobody but its author wrote.
    fn refuse_by_hand(&self) -> Result<()> {
        let path = self.file("run.toml");
        if path.is_file() && !self.is_of_a_run() {
            bail!(
                "{}: no run wrote this file, and one would replace it; choose another --out",
                path.display()
            );
        }
        Ok(())
    }

    /// Whether a run wrote into it: a result, a record of steps, or its config.
    pub fn is_of_a_run(&self) -> bool {
        let has = |name: &str| self.file(name).is_file();
        let config = std::fs::read_to_string(self.file("run.toml"));
        has("result.json")
            || has("metrics.jsonl")
            || config.is_ok_and(|text| written_by_a_run(&text).is_some())
    }

    /// Whether somebody else's files are in it: other than what a run leaves that was killed while it wrote
    /// its config.
    fn is_foreign(&self) -> bool {
        let ours = [lock::FILE, "run.toml.tmp"];
        let entries = self.path.read_dir().into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name())
            .any(|name| !ours.iter().any(|known| name == *known))
    }

    /// Removes what a run that did not finish left, so that nothing of it is taken for the new one's.
    fn clear(&self) -> Result<()> {
        for name in ["adapter", "merged", "predictions"] {
            if self.file(name).is_dir() {
                std::fs::remove_dir_all(self.file(name))
                    .with_context(|| format!("{}: cannot be removed", self.file(name).display()))?;
            }
        }
        for name in [
            "metrics.jsonl",
            "timings.jsonl",
            "trace.jsonl",
            "routing.json",
            "curve.svg",
        ] {
            if self.file(name).is_file() {
                std::fs::remove_file(self.file(name))
                    .with_context(|| format!("{}: cannot be removed", self.file(name).display()))?;
            }
        }
        Ok(())
    }

    /// Removes the folder. What a removal that was interrupted leaves is no run any more.
    pub fn remove(self) -> Result<()> {
        let failed = || format!("{}: cannot be removed", self.path.display());
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let gone = self.path.with_file_name(format!(".removed-{name}"));
        if gone.exists() {
            std::fs::remove_dir_all(&gone).with_context(failed)?;
        }
        std::fs::rename(&self.path, &gone).with_context(failed)?;
        std::fs::remove_dir_all(&gone).with_context(failed)
    }

    /// A path inside.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved config.
    pub fn config(&self) -> Result<RunConfig> {
        config::read(Some(&self.file("run.toml")), &[])
    }

    /// The result of a whole run.
    pub fn result(&self) -> Result<RunResult> {
        let path = self.file("result.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Writes the result, which makes the run whole.
    pub fn finish(&self, result: &RunResult) -> Result<()> {
        let json = serde_json::to_string_pretty(result)? + "\n";
        Ok(write::atomic(&self.file("result.json"), json.as_bytes())?)
    }

    /// Creates a file of JSON lines, with its folder.
    pub fn lines(&self, name: &str) -> Result<JsonLines> {
        let path = self.file(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("{}: cannot be created", parent.display()))?;
        }
        JsonLines::create(&path)
    }
}

/// The config of a `run.toml`, if it is written as runs write theirs: every key in its place.
fn written_by_a_run(text: &str) -> Option<RunConfig> {
    let config: RunConfig = toml::from_str(text).ok()?;
    let own = toml::to_string(&config).ok()?;
    (own == text).then_some(config)
}
