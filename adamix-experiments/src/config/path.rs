//! Paths in configs, which may begin with an environment variable.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// A configured path, its leading environment variable replaced by what it stands for.
pub fn resolve_path(path: &str) -> Result<PathBuf> {
    let Some(rest) = path.strip_prefix('$') else {
        return Ok(PathBuf::from(path));
    };
    let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
    match std::env::var_os(name) {
        Some(value) if !value.is_empty() => Ok(PathBuf::from(value).join(below)),
        _ => bail!(
            "{path}: the environment variable {name} is not set; set it, or write the path out"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_variable_stays() {
        assert_eq!(resolve_path("../data").unwrap(), PathBuf::from("../data"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = resolve_path("$ADAMIX_NO_SUCH_VARIABLE/x")
            .unwrap_err()
            .to_string();
        assert!(error.contains("ADAMIX_NO_SUCH_VARIABLE"), "{error}");
    }
}
