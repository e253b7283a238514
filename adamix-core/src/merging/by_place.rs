//! Another rule for some layers or sides.

use std::sync::Arc;

use super::{MergeError, MergeRule, Pair, Place};
use crate::account::MARK;
use crate::linear::Linear;
use crate::pattern::matches;

/// A rule for the modules whose site fits, on all their banks or one.
#[derive(Clone, Debug)]
pub struct Override {
    /// The sites of these modules, by pattern ([`matches()`]); a part of a fused map is one more segment.
    pub sites: String,
    /// Which bank, `down` or `up`; all where absent.
    pub bank: Option<String>,
    /// Their rule.
    pub rule: Arc<dyn MergeRule>,
}

impl Override {
    /// Whether it is for this bank of the module at this path.
    pub fn fits(&self, module: &str, bank: &str) -> bool {
        // The site, with its part where it has some.
        let site = module.replacen(MARK.trim_end_matches('.'), "", 1);
        matches(&self.sites, &site) && self.bank.as_deref().is_none_or(|b| b == bank)
    }
}

/// The first override that fits, or the rule for all else. It has the invariants that all its rules have.
#[derive(Clone, Debug)]
pub struct ByPlace {
    /// In order.
    pub overrides: Vec<Override>,
    /// Everywhere else.
    pub otherwise: Arc<dyn MergeRule>,
}

impl ByPlace {
    fn rule(&self, module: &str, bank: &str) -> &Arc<dyn MergeRule> {
        let found = self.overrides.iter().find(|o| o.fits(module, bank));
        found.map_or(&self.otherwise, |o| &o.rule)
    }
}

impl MergeRule for ByPlace {
    fn name(&self) -> &str {
        "by-place"
    }

    fn combine(&self, experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        self.rule(place.module, place.bank).combine(experts, place)
    }

    fn merge(&self, experts: &[Linear], place: &Place<'_>) -> Result<Linear, MergeError> {
        self.rule(place.module, place.bank).merge(experts, place)
    }

    fn merge_pair(&self, pair: &Pair<'_>) -> Result<[Linear; 2], MergeError> {
        let down = self.rule(pair.module, "down");
        if Arc::ptr_eq(down, self.rule(pair.module, "up")) {
            return down.merge_pair(pair);
        }
        pair.each_side(|experts, place| self.merge(experts, place))
    }
}
