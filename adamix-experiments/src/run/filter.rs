//! Conditions on runs, such as `task=mrpc` or `best.accuracy>0.8`.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use toml::Table;

use super::Stored;
use crate::config::{RunConfig, dotted, plain};

/// What a run says under dotted names: its config's keys, `id`, `state`, and `best.` and `last.` metrics.
pub fn facts(run: &Stored) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::from([("state".to_owned(), run.state().to_owned())]);
    if let Some(config) = &run.config {
        facts.extend(keys(config));
    }
    if let Some(result) = &run.result {
        facts.insert("id".to_owned(), result.identity.id.clone());
        for (epoch, measured) in [("best", &result.best), ("last", &result.last)] {
            for (name, value) in &measured.metrics {
                let value = value.map_or("-".to_owned(), |value| value.to_string());
                facts.insert(format!("{epoch}.{name}"), value);
            }
        }
    }
    facts
}

/// A config by dotted keys.
pub fn keys(config: &RunConfig) -> BTreeMap<String, String> {
    let table = Table::try_from(config).expect("a config is a table");
    let keys = dotted(&table).into_iter();
    keys.map(|(key, value)| (key, plain(&value))).collect()
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    key: String,
    relation: Relation,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    Less,
    Greater,
}

impl FromStr for Filter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let signs = [
            ("!=", Relation::Unequal),
            ("=", Relation::Equal),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        let parts = |(sign, relation)| {
            let (key, value) = text.split_once(sign)?;
            Some((key.trim().to_owned(), relation, value.trim().to_owned()))
        };
        let found = signs.into_iter().find_map(parts);
        let (key, relation, value) = found.with_context(|| {
            format!("`{text}`: expected such as task=mrpc or best.accuracy>0.8")
        })?;
        if matches!(relation, Relation::Less | Relation::Greater) && value.parse::<f64>().is_err() {
            bail!("`{text}`: `{value}` is no number");
        }
        Ok(Self {
            key,
            relation,
            value,
        })
    }
}

impl Filter {
    /// The name it asks about.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a run with these facts passes. What a run does not say equals nothing.
    pub fn passes(&self, facts: &BTreeMap<String, String>) -> bool {
        let Some(said) = facts.get(&self.key) else {
            return self.relation == Relation::Unequal;
        };
        let numbers = said.parse::<f64>().ok().zip(self.value.parse::<f64>().ok());
        let equal = *said == self.value || numbers.is_some_and(|(a, b)| a == b);
        match self.relation {
            Relation::Equal => equal,
            Relation::Unequal => !equal,
            Relation::Less => numbers.is_some_and(|(a, b)| a < b),
            Relation::Greater => numbers.is_some_and(|(a, b)| a > b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_words_and_numbers() {
        let facts = BTreeMap::from(
            [
                ("task", "mrpc"),
                ("optimizer.learning_rate", "0.001"),
                ("best.f1", "-"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let passes = |text: &str| text.parse::<Filter>().unwrap().passes(&facts);
        assert!(passes("task=mrpc") && !passes("task=rte") && passes("task!=rte"));
        assert!(passes("optimizer.learning_rate=1e-3") && passes("optimizer.learning_rate<0.01"));
        assert!(!passes("best.f1>0") && !passes("no.such=1") && passes("no.such!=1"));
        assert!("task".parse::<Filter>().is_err() && "best.f1>x".parse::<Filter>().is_err());
    }
}
