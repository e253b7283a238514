//! Where data that scorers need, and that is not ours to ship, is looked for.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn variable(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// The folder that the variable names, else the one of that name in the user's cache folder.
pub(super) fn of(name: &str, folder: &str) -> PathBuf {
    variable(name).unwrap_or_else(|| cache().join(folder))
}

/// The user's cache folder.
pub(super) fn cache() -> PathBuf {
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("adamix")
}

/// The place itself if it is a wheel, else the last wheel of a package in it.
pub(super) fn wheel(place: &Path, package: &str) -> Option<PathBuf> {
    let is_wheel = |path: &Path| path.extension().is_some_and(|e| e == "whl") && path.is_file();
    if is_wheel(place) {
        return Some(place.to_owned());
    }
    let entries = fs::read_dir(place).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut wheels: Vec<PathBuf> = paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(package) && is_wheel(path)
        })
        .collect();
    wheels.sort();
    wheels.pop()
}
