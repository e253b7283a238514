//! How many become one.

use std::sync::Arc;

use adamix_core::merging::{ByPlace, MergeRule, Override, RULES};
use adamix_core::options::Options;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How many become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Merging {
    /// A rule's name.
    pub rule: String,
    /// The rule's own settings.
    pub options: Options,
    /// Measure and keep an average over the steps of all that is trained, in place of the last values: its
    /// decay, such as 0.999. 0 takes none.
    pub ema: f64,
    /// Other rules for some sites or banks; the first that fits counts.
    pub overrides: Vec<RuleOverride>,
}

/// Another rule for some sites or banks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOverride {
    /// The sites, as paths, patterns of paths such as `layer.0.output`, as in `adaptation.sites`.
    pub sites: String,
    /// Which of their banks, such as `down` or `up`; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<String>,
    /// A rule's name.
    pub rule: String,
    /// The rule's own settings.
    #[serde(default)]
    pub options: Options,
}

impl Default for Merging {
    fn default() -> Self {
        Self {
            rule: "uniform".to_owned(),
            options: Options::NONE,
            ema: 0.0,
            overrides: Vec::new(),
        }
    }
}

impl Merging {
    /// The rule, with its overrides.
    ///
    /// # Errors
    /// If there is no rule of a name, or it refuses an option.
    pub fn rule(&self) -> Result<Arc<dyn MergeRule>> {
        let otherwise = RULES.make(&self.rule, &self.options);
        let otherwise = otherwise.context("`merging.rule`")?;
        if self.overrides.is_empty() {
            return Ok(otherwise);
        }
        let overrides = self.overrides.iter().map(|o| {
            let rule = RULES.make(&o.rule, &o.options);
            Ok(Override {
                sites: o.sites.clone(),
                bank: o.bank.clone(),
                rule: rule.with_context(|| format!("`merging.overrides` for `{}`", o.sites))?,
            })
        });
        Ok(Arc::new(ByPlace {
            overrides: overrides.collect::<Result<_>>()?,
            otherwise,
        }))
    }
}
