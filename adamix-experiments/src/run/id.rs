//! A run's id: the hash of everything that decides its outcome.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::checkpoint::Origin;
use crate::config::{self, Checkpoint, RunConfig};

/// Raised by hand when the same config would no longer give the same numbers.
pub const SEMANTICS: u32 = 1;

/// What decides a run's outcome. Paths do not: the files' contents do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The id: 16 hexadecimal digits.
    pub id: String,
    /// Hashes of the base model's files and of its tokenizer's.
    pub base_hash: String,
    /// Hash of the data files.
    pub data_hash: String,
    /// The meaning of a run.
    pub semantics: u32,
}

impl Identity {
    /// The identity of a config on these files. Only keys that differ from their defaults are hashed, so that
    /// a key which is added later does not make another run of every run before; a default that changes its
    /// meaning raises [`SEMANTICS`].
    pub fn new(config: &RunConfig, base_hash: &str, data_hash: &str) -> Self {
        let text = toml::to_string(&chosen(config)).expect("a table serialises");
        let whole = format!("{SEMANTICS}\n{base_hash}\n{data_hash}\n{text}");
        Self {
            id: blake3::hash(whole.as_bytes()).to_hex()[..16].to_owned(),
            base_hash: base_hash.to_owned(),
            data_hash: data_hash.to_owned(),
            semantics: SEMANTICS,
        }
    }

    /// The same, key by key: what a checkpoint of the run carries.
    pub fn origin(&self, config: &RunConfig) -> Origin {
        let inputs = [
            ("the base model's hash", self.base_hash.as_str()),
            ("the data's hash", &self.data_hash),
            ("the meaning of runs", &self.semantics.to_string()),
        ];
        Origin::new(&chosen(config), &inputs)
    }
}

/// The keys that decide the outcome and are not as the defaults are.
pub fn chosen(config: &RunConfig) -> Table {
    let plain = RunConfig {
        data: String::new(),
        model: String::new(),
        checkpoint: Checkpoint::default(),
        ..config.clone()
    };
    let table = |config| Table::try_from(config).expect("a config is a table");
    difference(table(plain), &table(RunConfig::default()))
}

/// The keys of a config that differ from their defaults, the places of model and data among them: with these a run
/// is run again.
pub fn rerun(config: &RunConfig) -> Table {
    let table = |config: &RunConfig| Table::try_from(config).expect("a config is a table");
    let plain = RunConfig {
        checkpoint: Checkpoint::default(),
        ..config.clone()
    };
    let mut keys = difference(table(&plain), &table(&RunConfig::default()));
    // A default that depends on other keys is named where the run had the plain one.
    if let Ok(again) = config::resolve(keys.clone()) {
        config::overlay(&mut keys, difference(table(&plain), &table(&again)));
    }
    keys
}

/// The part of a config that is not as the defaults are.
fn difference(given: Table, default: &Table) -> Table {
    let differs = |(name, value): (String, Value)| match (value, default.get(&name)) {
        (Value::Table(given), Some(Value::Table(default))) => {
            let inner = difference(given, default);
            (!inner.is_empty()).then_some((name, Value::Table(inner)))
        }
        (value, Some(default)) if value == *default => None,
        (value, _) => Some((name, value)),
    };
    given.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_from_the_defaults_counts() {
        let mut config = RunConfig::default();
        config.optimizer.learning_rate = 0.5;
        assert_eq!(
            toml::to_string(&rerun(&config)).unwrap(),
            "[optimizer]\nlearning_rate = 0.5\n"
        );
    }

    #[test]
    fn what_is_said_of_a_run_gives_it_again() {
        let settings: [&[&str]; 4] = [
            &["adaptation.method=adapter", "consistency.weight=1.0"],
            &[
                "task=e2e",
                "adaptation.method=adamix-lora",
                "consistency.weight=1.0",
            ],
            &["adaptation.method=houlsby", "adaptation.activation=gelu"],
            &["task=e2e", "input.max_length=128"],
        ];
        for settings in settings {
            let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
            let config = config::read(None, &settings).unwrap();
            let again = config::resolve(rerun(&config)).unwrap();
            assert_eq!(chosen(&again), chosen(&config), "{settings:?}");
        }
    }

    #[test]
    fn contents_count_and_paths_and_checkpoints_do_not() {
        let config = RunConfig::default();
        let elsewhere = RunConfig {
            data: "/elsewhere".to_owned(),
            ..config.clone()
        };
        let often = RunConfig {
            checkpoint: Checkpoint {
                steps: 1,
                minutes: 0.0,
            },
            ..config.clone()
        };
        let other = RunConfig {
            seed: 2,
            ..config.clone()
        };
        let id = |config: &RunConfig, data: &str| Identity::new(config, "base", data).id;
        assert_eq!(id(&config, "d"), id(&elsewhere, "d"));
        assert_eq!(id(&config, "d"), id(&often, "d"));
        assert_ne!(id(&config, "d"), id(&other, "d"));
        assert_ne!(id(&config, "d"), id(&config, "e"));
    }
}
