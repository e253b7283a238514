//! One place of a model.

use adamix_core::account::MARK;
use adamix_core::adaptation::{Adaptation, AdaptationConfig, ScaledSide};

use super::{Role, matches};

/// One place of a model.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The module's Hugging Face path.
    pub site: String,
    /// The part's name where several share a site: `q`, `k` and `v` of a fused map.
    pub part: Option<&'static str>,
    /// What it is in its layer.
    pub role: Role,
    /// The widths that it takes and gives.
    pub widths: [usize; 2],
    /// What sits there.
    pub holds: &'a mut Option<Adaptation>,
}

impl Slot<'_> {
    /// Whether a pattern means it: the name of its role, or the end of its path.
    pub(super) fn is_meant(&self, pattern: &str) -> bool {
        self.role.name() == pattern || matches(pattern, &self.path())
    }

    /// Whether an adaptation has an effect here. The input of a part is that of the whole map, so it cannot
    /// be scaled alone.
    pub(super) fn accepts(&self, config: &AdaptationConfig) -> bool {
        let scales_input =
            matches!(config, AdaptationConfig::Scale(c) if c.side == ScaledSide::Input);
        self.role.accepts(config) && !(self.part.is_some() && scales_input)
    }

    /// The name under which policies and traces know what it holds: the site, which parts of a fused map share unless
    /// they are decided for apart.
    pub fn decided_at(&self) -> String {
        match self.holds.as_ref().is_some_and(Adaptation::is_apart) {
            true => self.path(),
            false => self.site.clone(),
        }
    }

    /// The path under which its parameters are filed.
    pub fn module(&self) -> String {
        match self.part {
            None => format!("{}{}", self.site, MARK.trim_end_matches('.')),
            Some(part) => format!("{}{MARK}{part}", self.site),
        }
    }

    /// The site with its part.
    pub fn path(&self) -> String {
        match self.part {
            None => self.site.clone(),
            Some(part) => format!("{}.{part}", self.site),
        }
    }
}

/// What sits at a place.
#[derive(Clone, Debug)]
pub struct Held {
    /// The site, as policies know it.
    pub site: String,
    /// The path under which its parameters are filed.
    pub module: String,
    /// What it is.
    pub adaptation: Adaptation,
}
