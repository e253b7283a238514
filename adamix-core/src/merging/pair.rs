//! The two banks of a mixture, as a rule sees them.

use super::{MergeError, Place};
use crate::linear::Linear;

/// Both sides of a mixture. Expert `i` of the module is down `i` and up `i`; a shared side has one
/// projection, which belongs to every expert.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The mixture's path.
    pub module: &'a str,
    /// The down side's experts.
    pub down: &'a [Linear],
    /// The up side's experts.
    pub up: &'a [Linear],
    /// Whether nothing stands between the sides, so that a module is the product of its two maps.
    pub linear: bool,
}

impl<'a> Pair<'a> {
    /// M, the experts of the side that has more.
    pub fn experts(&self) -> usize {
        self.down.len().max(self.up.len())
    }

    /// The two projections of expert `i`.
    pub fn expert(&self, i: usize) -> (&'a Linear, &'a Linear) {
        (
            &self.down[i.min(self.down.len() - 1)],
            &self.up[i.min(self.up.len() - 1)],
        )
    }

    /// Merges each side on its own; a side with one expert stays as it is.
    ///
    /// # Errors
    /// The first that `merge` returns.
    pub fn each_side(
        &self,
        merge: impl Fn(&[Linear], &Place<'_>) -> Result<Linear, MergeError>,
    ) -> Result<[Linear; 2], MergeError> {
        let side = |experts: &[Linear], bank| match experts {
            [one] => Ok(one.clone()),
            _ => merge(experts, &Place::bank(self.module, bank)),
        };
        Ok([side(self.down, "down")?, side(self.up, "up")?])
    }
}
