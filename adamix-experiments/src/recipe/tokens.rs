//! Where tokenised splits are kept from run to run.

use std::env;
use std::path::PathBuf;

use adamix_data::tokenize::Cache;

/// The folder that names the cache; empty for none.
const VARIABLE: &str = "ADAMIX_CACHE";

/// The cache in `ADAMIX_CACHE`, or else in the user's folder for such; `None` where there is neither.
pub fn cache() -> Option<Cache> {
    let folder = match env::var_os(VARIABLE) {
        Some(folder) => Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty()),
        None => users().map(|folder| folder.join("adamix")),
    };
    folder.map(|folder| Cache::new(folder.join("tokens")))
}

/// The user's folder for what can be made anew, by the XDG rules: only absolute paths count.
fn users() -> Option<PathBuf> {
    let absolute = |name| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}
