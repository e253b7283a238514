//! How many become one.

use std::sync::Arc;

use adamix_core::merging::{ByPlace, MergeRule, Override, RULES, Uniform};
use adamix_core::options::Options;
use adamix_models::site::Adaptable;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// Makes a rule from its name and its options.
pub type MakeRule<'a> = dyn Fn(&str, &Options) -> Result<Arc<dyn MergeRule>> + 'a;

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

/// The rules that look at rows: `adamix merge` has them, a run does not.
pub const GATHERED: [&str; 4] = ["fisher", "regmean", "greedy-soup", "learned-soup"];

impl Merging {
    /// The decay of an average over the steps, if one is taken.
    pub fn average(&self) -> Option<f64> {
        (self.ema > 0.0).then_some(self.ema)
    }

    /// The rule, with its overrides.
    ///
    /// # Errors
    /// If there is no rule of a name, or it refuses an option.
    pub fn rule(&self) -> Result<Arc<dyn MergeRule>> {
        self.rule_with(&|name, options| {
            ensure!(
                !GATHERED.contains(&name),
                "`{name}` looks at rows, for which `adamix merge --rule {name}` is made"
            );
            Ok(RULES.make(name, options)?)
        })
    }

    /// The rule for a model, whose banks the overrides are about.
    ///
    /// # Errors
    /// As [`rule`](Self::rule), and if an override fits no bank or the rule cannot merge the model.
    pub fn rule_for(&self, model: &impl Adaptable) -> Result<Arc<dyn MergeRule>> {
        self.check_banks(&model.banks())?;
        let rule = self.rule()?;
        model.merged(rule.as_ref()).context("`merging.rule`")?;
        Ok(rule)
    }

    /// The rule, its parts made by `make` from a name and options.
    ///
    /// # Errors
    /// The first that `make` returns, with the key it belongs to.
    pub fn rule_with(&self, make: &MakeRule<'_>) -> Result<Arc<dyn MergeRule>> {
        let otherwise = make(&self.rule, &self.options).context("`merging.rule`")?;
        if self.overrides.is_empty() {
            return Ok(otherwise);
        }
        let overrides = self.overrides.iter().map(|o| {
            let rule = make(&o.rule, &o.options);
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

    /// Refuses an override that fits none of a model's banks ([`Adaptable::banks`]).
    ///
    /// # Errors
    /// Names it, and what it could have named.
    pub fn check_banks(&self, banks: &[(String, String)]) -> Result<()> {
        for wanted in &self.overrides {
            let probe = Override {
                sites: wanted.sites.clone(),
                bank: wanted.bank.clone(),
                rule: Arc::new(Uniform {}),
            };
            if banks.iter().any(|(module, bank)| probe.fits(module, bank)) {
                continue;
            }
            let bank = wanted.bank.as_deref();
            let bank = bank.map_or(String::new(), |bank| format!(", bank `{bank}`"));
            let known: Vec<String> = (banks.iter().take(4))
                .map(|(module, bank)| format!("{}: {bank}", module.replacen(".adamix", "", 1)))
                .collect();
            bail!(
                "`merging.overrides`: nothing that is merged matches `{}`{bank}; there are {} banks, such as {}",
                wanted.sites,
                banks.len(),
                known.join(", ")
            );
        }
        Ok(())
    }
}
