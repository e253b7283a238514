//! Whose checkpoint it is.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::config::dotted;

/// What decided a run, key by key, so that a checkpoint of another run is refused by the name of what
/// differs. A key that is as its default is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(BTreeMap<String, String>);

impl Origin {
    /// The keys of a table with their paths; `inputs` are what a run reads, such as its data's hash.
    pub fn new(config: &Table, inputs: &[(&str, &str)]) -> Self {
        let keys = dotted(config).into_iter();
        let mut origin: BTreeMap<String, String> =
            keys.map(|(key, value)| (key, value.to_string())).collect();
        for (name, value) in inputs {
            origin.insert((*name).to_owned(), (*value).to_owned());
        }
        Self(origin)
    }

    /// Refuses a checkpoint of another origin.
    ///
    /// # Errors
    /// Names the first key that differs, with both values.
    pub fn expect(&self, found: &Self) -> Result<()> {
        let value = |origin: &Self, key: &str| {
            let value = origin.0.get(key);
            value.map_or("the default".to_owned(), Clone::clone)
        };
        for key in self.0.keys().chain(found.0.keys()) {
            if self.0.get(key) != found.0.get(key) {
                bail!(
                    "it is of another run: `{key}` is {} there and {} here",
                    value(found, key),
                    value(self, key)
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(config: &str, data: &str) -> Origin {
        Origin::new(&config.parse().unwrap(), &[("data", data)])
    }

    #[test]
    fn the_key_that_differs_is_named() {
        let mine = origin("seed = 1\n[optimizer]\nbeta1 = 0.5", "d");
        mine.expect(&mine).unwrap();
        let message = |other: &Origin| mine.expect(other).unwrap_err().to_string();
        assert!(
            message(&origin("seed = 1\n[optimizer]\nbeta1 = 0.9", "d"))
                .contains("`optimizer.beta1` is 0.9 there and 0.5 here")
        );
        assert!(message(&origin("seed = 1", "d")).contains("the default there"));
        assert!(
            message(&origin("seed = 1\n[optimizer]\nbeta1 = 0.5", "e"))
                .contains("`data` is e there")
        );
        let further = origin("seed = 1\n[optimizer]\nbeta1 = 0.5\nbeta2 = 0.5", "d");
        assert!(message(&further).contains("`optimizer.beta2` is 0.5 there and the default here"));
    }
}
