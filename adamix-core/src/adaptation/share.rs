//! Which sides of a mixture all experts have in common.

use serde::{Deserialize, Serialize};

/// Which sides of a mixture have one projection for all experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// M downs and M ups.
    None,
    /// M downs, one up: what the paper and all released runs use.
    Up,
    /// One down, M ups.
    Down,
    /// One of each: a single module, whatever M is.
    Both,
}

impl Share {
    /// How many projections the down and the up side have, with `experts` on a side that is not shared.
    pub fn counts(self, experts: usize) -> (usize, usize) {
        match self {
            Self::None => (experts, experts),
            Self::Up => (experts, 1),
            Self::Down => (1, experts),
            Self::Both => (1, 1),
        }
    }
}
