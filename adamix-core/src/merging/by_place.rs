//! Another rule for some layers or sides.

use std::sync::Arc;

use super::{MergeError, MergeRule, Pair, Place, Side};
use crate::linear::Linear;

/// A name with `*` for any text, such as `*.layer.0.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern of that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the whole name fits.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            match name.find(part) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        name.ends_with(last)
    }
}

/// A rule for the modules whose path fits, on both sides or one.
#[derive(Clone, Debug)]
pub struct Override {
    /// Which modules.
    pub modules: Pattern,
    /// Which side; both where absent.
    pub side: Option<Side>,
    /// Their rule.
    pub rule: Arc<dyn MergeRule>,
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
    fn rule(&self, module: &str, side: Side) -> &Arc<dyn MergeRule> {
        let fits =
            |o: &&Override| o.modules.matches(module) && o.side.is_none_or(|wanted| wanted == side);
        let found = self.overrides.iter().find(fits);
        found.map_or(&self.otherwise, |o| &o.rule)
    }
}

impl MergeRule for ByPlace {
    fn name(&self) -> &str {
        "by-place"
    }

    fn combine(&self, experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        self.rule(place.module, place.side).combine(experts, place)
    }

    fn merge(&self, experts: &[Linear], place: &Place<'_>) -> Result<Linear, MergeError> {
        self.rule(place.module, place.side).merge(experts, place)
    }

    fn merge_pair(&self, pair: &Pair<'_>) -> Result<[Linear; 2], MergeError> {
        let down = self.rule(pair.module, Side::Down);
        if Arc::ptr_eq(down, self.rule(pair.module, Side::Up)) {
            return down.merge_pair(pair);
        }
        pair.each_side(|experts, place| self.merge(experts, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, fits) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("*.layer.0.*", "bert.encoder.layer.0.output.adamix", true),
            ("*.layer.0.*", "bert.encoder.layer.10.output.adamix", false),
            ("*.adamix", "h.3.mlp.adamix", true),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                fits,
                "{pattern} {name}"
            );
        }
    }
}
