//! The settings of a profile: which rows, tasks and seeds are run, with which values, and where each value is from.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use toml::{Table, Value};

use super::methods;
use super::own_base::OwnBase;
use super::selector::{Place, Selector};
use super::settings::{DEFINITION, NUMBERED, Settings};
use crate::config::{self, RunConfig};
use crate::report::record::Rule;

/// The profiles that the program carries.
const PROFILES: [(&str, &str); 3] = [
    ("smoke", include_str!("profiles/smoke.toml")),
    ("laptop", include_str!("profiles/laptop.toml")),
    ("paper", include_str!("profiles/paper.toml")),
];

/// What the searches of the laptop profile chose, by the file's name: `[[case]]`s, as `adamix sweep choose` writes them.
const CHOSEN: [(&str, &str); 2] = [
    (
        "chosen.toml",
        include_str!("../../../paper-results/laptop/search/chosen.toml"),
    ),
    (
        "e2e-chosen.toml",
        include_str!("../../../paper-results/laptop/search/e2e-chosen.toml"),
    ),
];

/// A profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What the page says of it.
    pub about: Vec<String>,
    /// Which epoch tables show.
    pub rule: Rule,
    /// Exhibits that show the last epoch whatever the others do.
    #[serde(default)]
    pub last: Vec<String>,
    /// Where these two are from, by the rule's name.
    #[serde(default)]
    pub rule_sources: BTreeMap<String, String>,
    /// What time estimates assume.
    pub machine: Machine,
    /// Tasks by exhibit, in the order of their worth; those of the published columns where none are named.
    #[serde(default)]
    pub tasks: BTreeMap<String, Vec<String>>,
    /// Rows by exhibit; the exhibit's own where none are named.
    #[serde(default)]
    pub rows: BTreeMap<String, Vec<String>>,
    /// How many seeds; the last that matches counts.
    pub seeds: Vec<Seeds>,
    /// Settings, the later over the earlier.
    #[serde(rename = "layer")]
    pub layers: Vec<Layer>,
    /// Runs that take a source's values and are not that source's own; the first that matches counts.
    #[serde(default)]
    pub borrowed: Vec<Borrowed>,
    /// What is run first.
    #[serde(default)]
    pub queue: Vec<Selector>,
    /// Sizes of the data sets, for estimates.
    #[serde(default)]
    pub sizes: BTreeMap<String, Size>,
    /// Base models that are trained first.
    #[serde(default)]
    pub bases: Vec<OwnBase>,
    /// What the base model's own tuning may have seen, where it was tuned for something before.
    pub seen: Option<Seen>,
}

/// What a base model's own tuning may have seen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Where that is known from.
    pub source: String,
    /// By task: how far, and by what.
    pub tasks: BTreeMap<String, [String; 2]>,
}

/// What an estimate of time assumes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// In words.
    pub name: String,
    /// Floating-point operations a second that training reaches.
    pub flops: f64,
    /// Bytes of memory; a run that needs more is told of.
    pub memory: Option<f64>,
}

/// The size of a data set.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Rows trained on.
    pub train: usize,
    /// Rows measured on.
    pub dev: usize,
    /// Inputs that texts are generated for; 0 where nothing is generated.
    #[serde(default)]
    pub test: usize,
    /// Mean tokens of a row.
    pub tokens: usize,
}

/// A number of seeds for some runs.
#[derive(Clone, Debug, Deserialize)]
pub struct Seeds {
    /// Which runs.
    #[serde(flatten)]
    pub when: Selector,
    /// How many.
    pub n: u64,
}

/// Values for some runs, with their source.
#[derive(Clone, Debug, Deserialize)]
pub struct Layer {
    /// Which runs.
    #[serde(flatten)]
    pub when: Selector,
    /// Where the values are from.
    pub source: String,
    /// The values, as in a run's TOML.
    #[serde(default)]
    pub set: Table,
    /// Keys that take the number of the seed.
    #[serde(default)]
    pub seed: Vec<String>,
    /// The file of `paper-results/laptop/search` with the values that a search chose for each method, if they are those.
    #[serde(default)]
    pub chosen: Option<String>,
}

/// Values that some runs take from a source which is about others.
#[derive(Clone, Debug, Deserialize)]
pub struct Borrowed {
    /// Which runs.
    #[serde(flatten)]
    pub when: Selector,
    /// How the sources begin.
    pub sources: Vec<String>,
    /// What is told of them in these runs.
    pub told: String,
}

/// The settings that a search chose, one for each method.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Chosen {
    case: Vec<Table>,
}

impl Profile {
    /// The names of the profiles.
    pub fn names() -> Vec<&'static str> {
        PROFILES.iter().map(|(name, _)| *name).collect()
    }

    /// A profile by its name.
    pub fn named(name: &str) -> Result<Self> {
        let Some((_, text)) = PROFILES.iter().find(|(known, _)| *known == name) else {
            bail!(
                "unknown profile `{name}`; known are {}",
                Self::names().join(", ")
            );
        };
        let mut profile: Self = toml::from_str(text).with_context(|| format!("profile {name}"))?;
        let layers = std::mem::take(&mut profile.layers);
        for layer in layers {
            match &layer.chosen {
                Some(file) => profile.layers.extend(layer.expand(file)?),
                None => profile.layers.push(layer),
            }
        }
        Ok(profile)
    }

    /// The settings of a run.
    pub fn settings(&self, place: Place<'_>, seed: u64) -> Result<Settings> {
        let mut settings = Settings::default();
        settings.put(
            Table::from_iter([("task".to_owned(), Value::from(place.task))]),
            DEFINITION,
        )?;
        settings.put(place.row.definition()?, DEFINITION)?;
        for layer in self.layers.iter().filter(|layer| layer.when.matches(place)) {
            settings.put(layer.set.clone(), &layer.source)?;
            for key in &layer.seed {
                let value = format!("{key} = {seed}").parse::<Table>()?;
                settings.put(value, &layer.source)?;
            }
        }
        for source in settings.sources.values_mut() {
            let mut borrowed = self.borrowed.iter();
            if let Some(borrowed) = borrowed.find(|b| b.is_from(source) && b.when.matches(place)) {
                source.clone_from(&borrowed.told);
            }
        }
        settings.put(place.row.variation()?, place.row.varied_by)?;
        let first = settings.table.get("seed").and_then(Value::as_integer);
        if let Some(first) = first.filter(|_| seed > 1) {
            // A profile that names a seed means the first; the others count from it.
            let value = Value::from(first + seed as i64 - 1);
            settings.table.insert("seed".to_owned(), value);
        } else if first.is_none() {
            settings.put(
                Table::from_iter([("seed".to_owned(), Value::from(seed as i64))]),
                NUMBERED,
            )?;
        }
        Ok(settings)
    }

    /// The resolved config of a run.
    pub fn config(&self, place: Place<'_>, seed: u64) -> Result<RunConfig> {
        let settings = self.settings(place, seed)?;
        let Place {
            exhibit, row, task, ..
        } = place;
        config::resolve(settings.table)
            .with_context(|| format!("{exhibit}, row {}, task {task}", row.key))
    }

    /// Which epoch an exhibit shows.
    pub fn rule_of(&self, exhibit: &str) -> Rule {
        if self.last.iter().any(|name| name == exhibit) {
            return Rule::Last;
        }
        self.rule
    }

    /// Where a rule is from.
    pub fn rule_source(&self, rule: Rule) -> &str {
        let source = self.rule_sources.get(rule.name());
        source.map_or("assumed", String::as_str)
    }

    /// How many seeds a run has.
    pub fn seeds(&self, place: Place<'_>) -> u64 {
        let last = self.seeds.iter().rfind(|seeds| seeds.when.matches(place));
        last.map_or(1, |seeds| seeds.n)
    }
}

impl Borrowed {
    fn is_from(&self, source: &str) -> bool {
        self.sources.iter().any(|known| source.starts_with(known))
    }
}

impl Layer {
    /// One layer for each method that the search chose a setting for.
    fn expand(&self, file: &str) -> Result<Vec<Self>> {
        let known = CHOSEN.iter().find(|(name, _)| *name == file);
        let (_, text) = known.with_context(|| format!("no search chose `{file}`"))?;
        let chosen: Chosen = toml::from_str(text).with_context(|| file.to_owned())?;
        let mut layers = Vec::new();
        for mut case in chosen.case {
            let adaptation = case.get_mut("adaptation").and_then(Value::as_table_mut);
            let method = adaptation.and_then(|a| a.remove("method"));
            let method = method
                .as_ref()
                .and_then(Value::as_str)
                .context("a chosen case names no adaptation.method")?;
            layers.push(Self {
                when: Selector {
                    methods: methods::that_train(method)?,
                    ..self.when.clone()
                },
                set: case,
                chosen: None,
                ..self.clone()
            });
        }
        Ok(layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::methods::Row;

    fn place<'a>(exhibit: &'a str, base: &'a str, row: &'a Row, task: &'a str) -> Place<'a> {
        Place {
            exhibit,
            base,
            row,
            task,
        }
    }

    #[test]
    fn every_profile_is_read() {
        for name in Profile::names() {
            let profile = Profile::named(name).unwrap();
            assert_eq!(profile.name, name);
        }
        assert!(
            Profile::named("desktop")
                .unwrap_err()
                .to_string()
                .contains("laptop")
        );
    }

    #[test]
    fn the_paper_profile_is_the_released_runs() {
        // facts of the released directories' names: epochs, global batch, rate, seed, consistency.
        let profile = Profile::named("paper").unwrap();
        let row = methods::row("adamix").unwrap();
        let roberta = [
            ("mnli", 20, 64, 3e-4, 0, 1.0),
            ("qnli", 20, 64, 3e-4, 0, 1.0),
            ("sst2", 20, 64, 3e-4, 0, 1.0),
            ("qqp", 80, 64, 5e-4, 0, 1.0),
            ("mrpc", 60, 64, 3e-4, 0, 1.0),
            ("cola", 80, 64, 3e-4, 2, 1.0),
            ("rte", 60, 64, 5e-4, 0, 1.0),
            ("stsb", 80, 64, 3e-4, 0, 0.0),
        ];
        let bert = [
            ("mnli", 40, 64, 4e-4, 0, 0.0),
            ("qnli", 20, 64, 4e-4, 0, 0.0),
            ("sst2", 40, 64, 4e-4, 0, 0.0),
            ("qqp", 60, 64, 5e-4, 0, 0.0),
            ("mrpc", 100, 16, 4e-4, 0, 0.0),
            ("cola", 100, 16, 5e-4, 0, 0.0),
            ("rte", 80, 32, 5e-4, 0, 0.0),
            ("stsb", 80, 32, 5e-4, 0, 0.0),
        ];
        for (exhibit, base, bottleneck, runs) in [
            ("table1", "roberta-large", 16, roberta),
            ("table2", "bert-base-uncased", 48, bert),
        ] {
            for (task, epochs, batch, rate, seed, consistency) in runs {
                let place = place(exhibit, base, &row, task);
                let config = profile.config(place, 1).unwrap();
                assert_eq!(config.schedule.epochs, epochs, "{exhibit} {task}");
                assert_eq!(config.schedule.batch_size, batch, "{exhibit} {task}");
                assert_eq!(config.optimizer.learning_rate, rate, "{exhibit} {task}");
                assert_eq!(config.seed, seed, "{exhibit} {task}");
                assert_eq!(config.consistency.weight, consistency, "{exhibit} {task}");
                assert_eq!(config.adaptation.bottleneck, bottleneck);
                assert_eq!(config.adaptation.experts, 4);
                assert_eq!(config.optimizer.weight_decay, 0.1);
                assert_eq!(config.schedule.warmup_ratio, 0.06);
                assert_eq!(config.input.max_length, 128);
                assert_eq!(config.optimizer.epsilon, 1e-8);
                assert_eq!(profile.seeds(place), 1);
                let settings = profile.settings(place, 1).unwrap();
                for key in [
                    "schedule.epochs",
                    "schedule.batch_size",
                    "seed",
                    "adaptation.bottleneck",
                ] {
                    assert!(
                        settings.sources[key].contains("released run"),
                        "{key}: {}",
                        settings.sources[key]
                    );
                }
                let rate = &settings.sources["optimizer.learning_rate"];
                let named = !(exhibit == "table1" && task == "qqp");
                assert_eq!(rate.contains("released run"), named, "{task}: {rate}");
            }
        }
    }

    #[test]
    fn what_nobody_released_is_assumed() {
        let profile = Profile::named("paper").unwrap();
        let source = |exhibit, base, row, task, key: &str| {
            let row = methods::row(row).unwrap();
            let settings = profile.settings(place(exhibit, base, &row, task), 1);
            settings.unwrap().sources[key].clone()
        };
        let roberta = |exhibit, row, task, key| source(exhibit, "roberta-large", row, task, key);
        let rate = "optimizer.learning_rate";
        assert_eq!(roberta("table8", "adamix", "rte", rate), "released run");
        for (exhibit, row) in [
            ("table8", "no-consistency"),
            ("table8", "no-sharing"),
            ("table9", "m8"),
            ("table10", "d32"),
            ("table11", "share-down"),
        ] {
            for task in ["rte", "qqp"] {
                let source = roberta(exhibit, row, task, rate);
                assert_eq!(source, "assumed (as the released run)", "{row} {task}");
            }
        }
        // Its job files name the epochs, and 16 is the released width.
        assert_eq!(
            roberta("table9", "m8", "rte", "schedule.epochs"),
            "authors' job file"
        );
        assert_eq!(roberta("table10", "d16", "rte", rate), "released run");
        assert!(roberta("table6", "adamix", "rte", "optimizer.beta2").starts_with("assumed"));
        let adapter = |exhibit, task| source(exhibit, "gpt2-medium", "adamix-adapter", task, rate);
        assert_eq!(adapter("table3", "e2e"), "released script");
        assert!(adapter("table4", "dart").starts_with("assumed"));
        assert!(adapter("table5", "webnlg").starts_with("assumed"));
    }

    #[test]
    fn a_row_named_by_its_width_keeps_it_in_every_profile() {
        let widths = [
            ("pfeiffer-3m", 60),
            ("pfeiffer-0.8m", 16),
            ("houlsby-6m", 60),
            ("houlsby-0.8m", 8),
        ];
        for name in Profile::names() {
            let profile = Profile::named(name).unwrap();
            for (row, width) in widths {
                let row = methods::row(row).unwrap();
                let place = place("table1", "roberta-large", &row, "mrpc");
                let config = profile.config(place, 1).unwrap();
                assert_eq!(config.adaptation.bottleneck, width, "{name} {}", row.key);
            }
        }
    }
}
