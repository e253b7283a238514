//! Where the reference values lie: `ADAMIX_SHARED`, or `../shared` beside the workspace.

use std::path::PathBuf;

/// The folder, or `None` (with a printed skip) where the variable is unset and the default absent.
pub fn folder(what: &str) -> Option<PathBuf> {
    let given = std::env::var_os("ADAMIX_SHARED").map(PathBuf::from);
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = given.clone().unwrap_or(default).join(what);
    if path.exists() {
        return Some(path);
    }
    assert!(
        given.is_none(),
        "{} is missing although ADAMIX_SHARED is set",
        path.display()
    );
    println!("skipped: {} is not here", path.display());
    None
}

/// The JSON of a file.
pub fn json(path: &std::path::Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All numbers of a JSON value, in order, whatever its nesting.
pub fn numbers(value: &serde_json::Value) -> Vec<f64> {
    match value {
        serde_json::Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![
            other
                .as_f64()
                .unwrap_or_else(|| panic!("{other} is no number")),
        ],
    }
}
