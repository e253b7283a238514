//! Random search: settings drawn from a space, each draw a function of seed, key and trial.

use std::collections::BTreeMap;

use adamix_keys::Key;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::axes::MAX_RUNS;
use super::settings::Settings;

/// Drawn settings. Every case and grid point gets the same draws, so that all have equally many trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// How many settings are drawn.
    pub trials: usize,
    /// Decides the draws; no run's own seed.
    #[serde(default)]
    pub seed: u64,
    /// Config keys, each with a list to choose from or with a range.
    pub space: Table,
    /// Whether bad trials end early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halving: Option<Halving>,
}

/// Successive halving (Jamieson and Talwalkar, 2016): all trials get little, the best of them more. A run of a
/// later round is a run of its own, with its own schedule, and does not go on from the earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halving {
    /// What later rounds get more of, such as `schedule.epochs`.
    pub key: String,
    /// Its value in each round.
    pub values: Vec<Value>,
    /// One in so many goes on.
    #[serde(default = "three")]
    pub factor: usize,
}

fn three() -> usize {
    3
}

/// The values of one key.
#[derive(Clone, Debug, PartialEq)]
enum Range {
    List(Vec<Value>),
    Integers { low: i64, high: i64, log: bool },
    Numbers { low: f64, high: f64, log: bool },
}

impl Search {
    /// The settings of all trials, in order. More trials later leave the earlier ones as they are.
    pub(super) fn draws(&self) -> Result<Vec<Settings>> {
        ensure!(self.trials > 0, "`search.trials` is 0");
        ensure!(
            self.trials <= MAX_RUNS,
            "`search.trials` is {}; a sweep has at most {MAX_RUNS} runs",
            self.trials
        );
        if let Some(halving) = &self.halving {
            ensure!(
                halving.factor > 1,
                "`search.halving.factor` must be at least 2"
            );
            ensure!(
                !halving.values.is_empty(),
                "`search.halving.values` is empty"
            );
            let repeats = |i: usize| halving.values[..i].contains(&halving.values[i]);
            ensure!(
                !(1..halving.values.len()).any(repeats),
                "`search.halving.values` has a value twice: its second round would be the runs of its first"
            );
        }
        let space = self.ranges()?;
        ensure!(!space.is_empty(), "[search.space] is empty");
        if let Some(halving) = &self.halving {
            ensure!(
                !space.contains_key(&halving.key),
                "`{}` is drawn and is `search.halving.key` too; its values come from one of them",
                halving.key
            );
        }
        let key = Key::new(self.seed).purpose("search");
        let draw = |trial: usize| {
            let one = |(name, range): (&String, &Range)| {
                let value = range.draw(key.purpose(name).fold(trial as u64));
                (name.clone(), value)
            };
            space.iter().map(one).collect()
        };
        Ok((0..self.trials).map(draw).collect())
    }

    /// The keys that are drawn.
    pub(super) fn keys(&self) -> Result<Vec<String>> {
        Ok(self.ranges()?.into_keys().collect())
    }

    fn ranges(&self) -> Result<BTreeMap<String, Range>> {
        let mut found = BTreeMap::new();
        collect("", &self.space, &mut found)?;
        Ok(found)
    }
}

/// A table is a range if it has a `low` or `high` that is no table, and a part of a dotted key otherwise.
fn collect(prefix: &str, table: &Table, found: &mut BTreeMap<String, Range>) -> Result<()> {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let is_bound =
            |bound: Option<&Value>| matches!(bound, Some(Value::Integer(_) | Value::Float(_)));
        match value {
            Value::Table(inner) if is_bound(inner.get("low")) || is_bound(inner.get("high")) => {
                let range =
                    Range::between(inner).with_context(|| format!("`search.space.{key}`"))?;
                found.insert(key, range);
            }
            Value::Table(inner) => collect(&key, inner, found)?,
            Value::Array(values) if !values.is_empty() => {
                found.insert(key, Range::List(values.clone()));
            }
            _ => anyhow::bail!(
                "`search.space.{key}`: expected a list of values, or {{ low = …, high = …, scale = \"log\" }}"
            ),
        }
    }
    Ok(())
}

impl Range {
    fn between(table: &Table) -> Result<Self> {
        for name in table.keys() {
            ensure!(
                ["low", "high", "scale"].contains(&name.as_str()),
                "unknown key `{name}`; a range has low, high and scale"
            );
        }
        let log = match table.get("scale").map(|scale| scale.as_str()) {
            None | Some(Some("linear")) => false,
            Some(Some("log")) => true,
            Some(_) => anyhow::bail!("`scale` is \"linear\" or \"log\""),
        };
        let number = |value: &Value| match value {
            Value::Integer(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            _ => None,
        };
        let bound = |name: &str| {
            let value = table.get(name).and_then(number);
            value.with_context(|| format!("`{name}` is missing or no number"))
        };
        let (low, high) = (bound("low")?, bound("high")?);
        ensure!(
            low < high && low.is_finite() && high.is_finite(),
            "`low` must be below `high`"
        );
        ensure!(
            !log || low > 0.0,
            "`low` must be above 0 on a logarithmic scale"
        );
        Ok(match (&table["low"], &table["high"]) {
            (Value::Integer(low), Value::Integer(high)) => Self::Integers {
                low: *low,
                high: *high,
                log,
            },
            _ => Self::Numbers { low, high, log },
        })
    }

    fn draw(&self, key: Key) -> Value {
        let between = |low: f64, high: f64, log: bool| {
            let at = key.uniform();
            match log {
                true => (low.ln() + at * (high.ln() - low.ln())).exp(),
                false => low + at * (high - low),
            }
        };
        match *self {
            Self::List(ref values) => values[key.below(values.len())].clone(),
            Self::Integers { low, high, log } => {
                let value = between(low as f64, high as f64 + 1.0, log).floor() as i64;
                Value::Integer(value.clamp(low, high))
            }
            Self::Numbers { low, high, log } => {
                let drawn = between(low, high, log);
                // Three digits: readable, and the same whatever the platform's logarithm. A narrow range needs more.
                let mut rounded = (2..16).map(|digits| {
                    let printed = format!("{drawn:.digits$e}");
                    printed.parse::<f64>().expect("a printed number")
                });
                let inside = |value: &f64| {
                    (low..=high).contains(value) && (value - drawn).abs() * 100.0 <= high - low
                };
                Value::Float(rounded.find(inside).unwrap_or(drawn))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(trials: usize, space: &str) -> Search {
        toml::from_str(&format!("trials = {trials}\nseed = 5\n[space]\n{space}")).unwrap()
    }

    const SPACE: &str = "optimizer.learning_rate = { low = 1e-4, high = 1e-2, scale = \"log\" }\n\
                         adaptation.bottleneck = { low = 4, high = 64 }\nadaptation.share = [\"up\", \"down\"]\n";

    #[test]
    fn more_trials_leave_the_first_as_they_are() {
        let (few, many) = (search(4, SPACE).draws(), search(40, SPACE).draws());
        assert_eq!(few.unwrap()[..], many.unwrap()[..4]);
    }

    #[test]
    fn draws_fill_their_ranges_evenly_on_their_scale() {
        let draws = search(3000, SPACE).draws().unwrap();
        let rate = |s: &Settings| s["optimizer.learning_rate"].as_float().unwrap();
        assert!(draws.iter().all(|s| (1e-4..=1e-2).contains(&rate(s))));
        // Half of a logarithmic range lies below its geometric mean: 1500, standard deviation 27.
        let below = draws.iter().filter(|s| rate(s) < 1e-3).count();
        assert!((1390..=1610).contains(&below), "{below}");
        let widths = draws
            .iter()
            .map(|s| s["adaptation.bottleneck"].as_integer().unwrap());
        let seen: std::collections::BTreeSet<i64> = widths.collect();
        assert_eq!(seen, (4..=64).collect());
        let up = |s: &&Settings| s["adaptation.share"].as_str() == Some("up");
        assert!((1390..=1610).contains(&draws.iter().filter(up).count()));
    }

    #[test]
    fn a_narrow_range_is_not_left_by_rounding() {
        let space = "a = { low = 1.004e-3, high = 1.006e-3 }\nb = { low = 0.99, high = 0.9999 }\n";
        let draws = search(200, space).draws().unwrap();
        let within = |key: &str, low: f64, high: f64| {
            let values = draws.iter().map(|s| s[key].as_float().unwrap());
            let values: Vec<f64> = values.collect();
            assert!(
                values.iter().all(|v| (low..=high).contains(v)),
                "{values:?}"
            );
            // They are drawn evenly, not all rounded onto a few.
            let mut different = values;
            different.sort_by(f64::total_cmp);
            different.dedup();
            assert!(different.len() > 50, "{}", different.len());
        };
        within("a", 1.004e-3, 1.006e-3);
        within("b", 0.99, 0.9999);
    }

    #[test]
    fn a_search_that_could_not_end_is_refused() {
        let error = |text: &str| {
            let search: Search = toml::from_str(text).unwrap();
            search.draws().unwrap_err().to_string()
        };
        let space = "[space]\na = [1, 2]\n";
        assert!(error(&format!("trials = 100000000000\n{space}")).contains("at most 100000"));
        let twice = format!("trials = 4\n{space}[halving]\nkey = \"b\"\nvalues = [1, 1]\n");
        assert!(error(&twice).contains("twice"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |space: &str| format!("{:#}", search(1, space).draws().unwrap_err());
        assert!(
            error("a.b = { low = 0.0, high = 1.0, scale = \"log\" }").contains("search.space.a.b")
        );
        assert!(error("a = { low = 2, high = 1 }").contains("below"));
        assert!(error("a = { low = 2 }").contains("`high`"));
        assert!(error("a = 3").contains("expected a list"));
    }
}
