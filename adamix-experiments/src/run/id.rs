//! A run's id: the hash of everything that decides its outcome.

use serde::{Deserialize, Serialize};

use crate::config::RunConfig;

/// Raised by hand when the same config would no longer give the same numbers.
pub const SEMANTICS: u32 = 1;

/// What decides a run's outcome. Paths do not: the files' contents do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The id: 16 hexadecimal digits.
    pub id: String,
    /// Hash of the base model's files.
    pub base_hash: String,
    /// Hash of the data files.
    pub data_hash: String,
    /// The meaning of a run.
    pub semantics: u32,
}

impl Identity {
    /// The identity of a config on these files.
    pub fn new(config: &RunConfig, base_hash: &str, data_hash: &str) -> Self {
        let plain = RunConfig {
            data: String::new(),
            model: String::new(),
            ..config.clone()
        };
        let text = toml::to_string(&plain).expect("a config serialises");
        let whole = format!("{SEMANTICS}\n{base_hash}\n{data_hash}\n{text}");
        Self {
            id: blake3::hash(whole.as_bytes()).to_hex()[..16].to_owned(),
            base_hash: base_hash.to_owned(),
            data_hash: data_hash.to_owned(),
            semantics: SEMANTICS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_count_and_paths_do_not() {
        let config = RunConfig::default();
        let elsewhere = RunConfig {
            data: "/elsewhere".to_owned(),
            ..config.clone()
        };
        let other = RunConfig {
            seed: 2,
            ..config.clone()
        };
        let id = |config: &RunConfig, data: &str| Identity::new(config, "base", data).id;
        assert_eq!(id(&config, "d"), id(&elsewhere, "d"));
        assert_ne!(id(&config, "d"), id(&other, "d"));
        assert_ne!(id(&config, "d"), id(&config, "e"));
    }
}
