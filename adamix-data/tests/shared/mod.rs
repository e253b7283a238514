//! Where the real data and reference values lie that are not part of the project.

use std::path::{Path, PathBuf};

/// A path below the shared folder: `ADAMIX_SHARED`, or `../shared` beside the workspace.
///
/// `None` only if the variable is unset and the default folder is absent. A file missing from a folder that is
/// there is a failure.
pub fn path(relative: &str) -> Option<PathBuf> {
    let named = std::env::var_os("ADAMIX_SHARED").map(PathBuf::from);
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = match named {
        Some(root) => root,
        None if default.is_dir() => default,
        None => {
            eprintln!("skipped: no shared folder; set ADAMIX_SHARED to run this test");
            return None;
        }
    };
    let path = root.join(relative);
    assert!(path.exists(), "{} is missing", path.display());
    Some(path)
}
