//! How many become one.

use std::sync::Arc;

use adamix_core::merging::{ByPlace, MergeRule, Override, Pattern, RULES, Side};
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
    /// Other rules for some modules or sides; the first that fits counts.
    pub overrides: Vec<RuleOverride>,
}

/// Another rule for some modules or sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOverride {
    /// The modules' paths, with `*` for any text: `*.layer.0.*`.
    pub modules: String,
    /// `down` or `up`; both where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
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
                modules: Pattern::new(&o.modules),
                side: o.side,
                rule: rule.with_context(|| format!("`merging.overrides` for `{}`", o.modules))?,
            })
        });
        Ok(Arc::new(ByPlace {
            overrides: overrides.collect::<Result<_>>()?,
            otherwise,
        }))
    }
}
