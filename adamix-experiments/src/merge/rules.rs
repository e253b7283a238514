//! Rules by name, with those that need data: what they need is gathered when they are asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use adamix_core::merging::{Fisher, MergeRule, RULES, RegMean, Weighted};
use adamix_core::options::{Options, fraction};
use adamix_core::registry::RegistryError;
use adamix_keys::Key;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::candidates::Candidates;
use super::fisher::information;
use super::inputs::grams;
use super::rows::Rows;
use super::soup::{LearnedSoup, greedy, learned};
use crate::config::{GATHERED, Merging};

/// Whether a rule of these needs data.
pub fn needs_rows(merging: &Merging) -> bool {
    let overrides = merging.overrides.iter().map(|o| o.rule.as_str());
    let mut names = overrides.chain([merging.rule.as_str()]);
    names.any(|name| GATHERED.contains(&name))
}

/// What a soup found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Experts, in the order in which they entered the soup.
    GreedySoup(Vec<usize>),
    /// Weights of the experts by module; one entry without a name where all modules have the same.
    LearnedSoup(BTreeMap<String, Vec<f64>>),
}

/// Makes rules for candidates, with what held-out rows tell of them.
pub struct Gatherer<'a, R: Rows> {
    /// What is to be merged.
    pub candidates: &'a Candidates<R::Model>,
    /// Rows that nothing is reported on; absent where no rule needs any.
    pub rows: Option<&'a R>,
    /// Rows a batch.
    pub batch_size: usize,
    /// Where draws come from.
    pub key: Key,
    /// Hears how many rows were answered.
    pub watch: &'a dyn Fn(u64),
    /// What soups found.
    pub found: RefCell<Vec<Found>>,
}

impl<R: Rows> Gatherer<'_, R> {
    /// The rule of a config's `[merging]` table, with its overrides.
    ///
    /// # Errors
    /// If there is no rule of a name, it refuses an option, or a row cannot be answered.
    pub fn rule(&self, merging: &Merging) -> Result<Arc<dyn MergeRule>> {
        let soup = |name: &str| name.ends_with("-soup") && GATHERED.contains(&name);
        if let Some(o) = merging.overrides.iter().find(|o| soup(&o.rule)) {
            bail!(
                "`merging.overrides` for `{}`: `{}` searches over whole models; give it as `merging.rule`",
                o.sites,
                o.rule
            );
        }
        merging.rule_with(&|name, options| self.make(name, options))
    }

    fn make(&self, name: &str, options: &Options) -> Result<Arc<dyn MergeRule>> {
        if !GATHERED.contains(&name) {
            let made = RULES.make(name, options);
            return Ok(made.map_err(with_gathered)?);
        }
        let rows = self
            .rows
            .context("this rule needs rows of the training split")?;
        let named = |source| RegistryError::Options {
            kind: "merging rule",
            name: name.to_owned(),
            source,
        };
        let (candidates, size) = (self.candidates, self.batch_size);
        Ok(match name {
            "fisher" => {
                options.parse::<NoOptions>().map_err(named)?;
                let information = information(candidates, rows, self.key, self.watch)?;
                Arc::new(Fisher { information })
            }
            "regmean" => {
                let settings: RegMeanOptions = options.parse().map_err(named)?;
                fraction("shrink", settings.shrink).map_err(named)?;
                Arc::new(RegMean {
                    inputs: grams(candidates, rows, size, self.watch)?,
                    shrink: settings.shrink,
                })
            }
            "greedy-soup" => {
                options.parse::<NoOptions>().map_err(named)?;
                let chosen = greedy(candidates, rows, size, self.watch)?;
                let rule = Weighted::subset(&chosen, candidates.experts.len());
                self.found.borrow_mut().push(Found::GreedySoup(chosen));
                Arc::new(rule)
            }
            _ => {
                let settings: LearnedSoup = options.parse().map_err(named)?;
                settings.check().map_err(named)?;
                let rule = learned(candidates, rows, size, &settings, self.key, self.watch)?;
                let weights = match settings.per_module {
                    true => rule.places.clone(),
                    false => [(String::new(), rule.weights.clone())].into(),
                };
                self.found.borrow_mut().push(Found::LearnedSoup(weights));
                Arc::new(rule)
            }
        })
    }
}

/// The names that are known here, too.
fn with_gathered(error: RegistryError) -> RegistryError {
    match error {
        RegistryError::Unknown { kind, name, known } => RegistryError::Unknown {
            kind,
            name,
            known: format!("{known}, {}", GATHERED.join(", ")),
        },
        other => other,
    }
}

/// The settings of a rule that has none.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NoOptions {}

/// The settings of RegMean.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RegMeanOptions {
    /// The factor of the off-diagonals.
    shrink: f64,
}

impl Default for RegMeanOptions {
    fn default() -> Self {
        Self { shrink: 0.9 }
    }
}
