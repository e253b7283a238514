//! The plan: every run of a sweep under its id.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::axes::{Point, points};
use super::file::SweepFile;
use super::halving::survivors;
use super::outcome::Outcome;
use super::settings::{Settings, short_names};
use crate::config::{self, RunConfig};
use crate::recipe::Identities;

/// One run of a plan: all that a worker needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The run's id, which is its folder's name.
    pub id: String,
    /// What it changes of the sweep's config.
    pub settings: Settings,
    /// The number of its draw, where settings are drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<usize>,
    /// The round of successive halving, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: usize,
    /// The resolved config.
    pub config: RunConfig,
}

impl Spec {
    /// What it changes, on one line: `method=adamix learning_rate=0.001 seed=2`.
    pub fn label(&self) -> String {
        let short = short_names(self.settings.keys());
        let one = |(key, value)| format!("{}={}", short[key], config::plain(value));
        let settings: Vec<String> = self.settings.iter().map(one).collect();
        settings.join(" ")
    }
}

fn is_zero(round: &usize) -> bool {
    *round == 0
}

/// All runs that are known so far: with successive halving a round is known once the one before it is done.
/// Settings that come to the same run are planned once.
///
/// # Errors
/// If the file, a setting, the base model or the data is at fault.
pub fn plan(file: &SweepFile, outcome: &dyn Fn(&str) -> Outcome) -> Result<Vec<Spec>> {
    let mut identities = Identities::default();
    let mut alive = points(file)?;
    let halving = file
        .search
        .as_ref()
        .and_then(|s| Some((s, s.halving.as_ref()?)));
    let mut specs = Vec::new();
    let mut known = BTreeSet::new();
    let rounds = halving.map_or(1, |(_, halving)| halving.values.len());
    for round in 0..rounds {
        let mut planned = Vec::new();
        for point in &alive {
            let mut settings = point.settings.clone();
            if let Some((_, halving)) = halving {
                settings.insert(halving.key.clone(), halving.values[round].clone());
            }
            let spec = spec(&mut identities, file, settings, point.trial, round)?;
            planned.push((point.clone(), spec.id.clone()));
            if known.insert(spec.id.clone()) {
                specs.push(spec);
            }
        }
        match halving {
            Some((search, halving)) if round + 1 < rounds => {
                alive = survivors(search, halving, &planned, outcome)?;
            }
            _ => alive = Vec::<Point>::new(),
        }
    }
    let lacks = |key: &&String| specs.iter().any(|spec| !spec.settings.contains_key(*key));
    if let Some(key) = file.choose.for_each.iter().find(lacks) {
        bail!("`choose.for_each` names `{key}`, which is on no axis");
    }
    if let Some(metric) = &file.choose.metric {
        for spec in &specs {
            let known = identities.metrics(&spec.config)?;
            ensure!(
                known.contains(&metric.as_str()),
                "`choose.metric` is `{metric}`; {} is measured by {}",
                spec.config.task,
                known.join(", ")
            );
        }
    }
    Ok(specs)
}

/// A run of the plan.
fn spec(
    identities: &mut Identities,
    file: &SweepFile,
    settings: Settings,
    trial: Option<usize>,
    round: usize,
) -> Result<Spec> {
    let label = || {
        let settings = settings.iter().map(|(key, value)| format!("{key}={value}"));
        settings.collect::<Vec<_>>().join(" ")
    };
    let mut table: Table = file.config.clone();
    for (key, value) in &settings {
        config::put(&mut table, key, value.clone()).with_context(label)?;
    }
    let config = config::resolve(table).with_context(label)?;
    let id = identities.of(&config).with_context(label)?.id;
    Ok(Spec {
        id,
        settings,
        trial,
        round,
        config,
    })
}
