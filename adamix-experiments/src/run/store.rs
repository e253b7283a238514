//! Many run folders: finding them, and finding one by a short name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::{RunFolder, RunResult};
use crate::config::RunConfig;

/// A run that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Stored {
    /// Its folder.
    pub folder: PathBuf,
    /// The resolved config; `None` where this version of the program cannot read it.
    pub config: Option<RunConfig>,
    /// The result; `None` for a run that is not whole, or that this version cannot read.
    pub result: Option<RunResult>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Stored {
    /// Reads a run folder, as far as it can be read.
    pub fn read(folder: &RunFolder) -> Self {
        let mut fault = None;
        let mut keep = |error: anyhow::Error| fault = Some(format!("{error:#}"));
        let config = folder.config().map_err(&mut keep).ok();
        let result = match folder.file("result.json").is_file() {
            true => folder.result().map_err(&mut keep).ok(),
            false => None,
        };
        Self {
            folder: folder.path().to_owned(),
            config,
            result,
            fault,
        }
    }

    /// `done`, `unfinished`, or `unreadable`.
    pub fn state(&self) -> &'static str {
        match (&self.fault, &self.result) {
            (Some(_), _) => "unreadable",
            (None, Some(_)) => "done",
            (None, None) => "unfinished",
        }
    }

    /// What it is called inside a store.
    pub fn name(&self, store: &Path) -> String {
        let name = self.folder.strip_prefix(store).unwrap_or(&self.folder);
        name.display().to_string()
    }
}

/// All run folders below a folder, in the order of their paths. Links are not followed.
///
/// # Errors
/// If the folder cannot be read.
pub fn find(store: &Path) -> Result<Vec<RunFolder>> {
    let mut found = Vec::new();
    descend(store, &mut found)?;
    Ok(found)
}

fn descend(folder: &Path, found: &mut Vec<RunFolder>) -> Result<()> {
    if let Ok(run) = RunFolder::open(folder) {
        found.push(run);
        return Ok(());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))?;
    let mut inside = Vec::new();
    for entry in entries {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() && !hidden {
            inside.push(entry.path());
        }
    }
    inside.sort();
    inside.iter().try_for_each(|path| descend(path, found))
}

/// The one run that a name means: a path, a folder's name, or the beginning of either.
///
/// # Errors
/// If it means none, or several.
pub fn locate(store: &Path, name: &str) -> Result<RunFolder> {
    if let Ok(run) = RunFolder::open(Path::new(name)) {
        return Ok(run);
    }
    ensure!(!name.is_empty(), "a run's name is empty");
    let all = find(store)?;
    let names = |run: &RunFolder| {
        let path = run.path().strip_prefix(store).unwrap_or(run.path());
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        [path.display().to_string(), last.into_owned()]
    };
    let exact: Vec<&RunFolder> = all
        .iter()
        .filter(|r| names(r).contains(&name.to_owned()))
        .collect();
    let begins = |run: &&RunFolder| names(run).iter().any(|n| n.starts_with(name));
    let matching = match exact.is_empty() {
        true => all.iter().filter(begins).collect(),
        false => exact,
    };
    match matching[..] {
        [run] => Ok(run.clone()),
        [] => bail!("{}: no run `{name}` among {}", store.display(), all.len()),
        _ => {
            let paths: Vec<String> = matching
                .iter()
                .map(|r| r.path().display().to_string())
                .collect();
            bail!("`{name}` means {} runs: {}", paths.len(), paths.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(names: &[&str]) -> tempfile::TempDir {
        let store = tempfile::tempdir().unwrap();
        for name in names {
            let folder = store.path().join(name);
            fs::create_dir_all(folder.join("adapter")).unwrap();
            fs::write(folder.join("run.toml"), "seed = 3\n").unwrap();
        }
        store
    }

    #[test]
    fn runs_are_found_at_any_depth_and_by_short_names() {
        let store = store(&["ab12", "ab34", "mrpc/adamix-1", "mrpc/adamix-10", ".gone/x"]);
        let found = find(store.path()).unwrap();
        let names: Vec<String> = found
            .iter()
            .map(|run| Stored::read(run).name(store.path()))
            .collect();
        assert_eq!(names, ["ab12", "ab34", "mrpc/adamix-1", "mrpc/adamix-10"]);
        let name =
            |short: &str| Stored::read(&locate(store.path(), short).unwrap()).name(store.path());
        assert_eq!(name("ab1"), "ab12");
        assert_eq!(name("adamix-1"), "mrpc/adamix-1");
        assert_eq!(name("mrpc/adamix-10"), "mrpc/adamix-10");
        let several = locate(store.path(), "ab").unwrap_err().to_string();
        assert!(several.contains("means 2 runs"), "{several}");
        assert!(locate(store.path(), "zz").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_said_and_stops_nothing() {
        let store = store(&["a", "b", "c"]);
        fs::write(store.path().join("a/run.toml"), "no_such_key = 1\n").unwrap();
        fs::write(store.path().join("b/result.json"), "{}").unwrap();
        let runs: Vec<Stored> = find(store.path())
            .unwrap()
            .iter()
            .map(Stored::read)
            .collect();
        let states: Vec<&str> = runs.iter().map(Stored::state).collect();
        assert_eq!(states, ["unreadable", "unreadable", "unfinished"]);
        assert!(runs[0].fault.as_ref().unwrap().contains("no_such_key"));
    }
}
