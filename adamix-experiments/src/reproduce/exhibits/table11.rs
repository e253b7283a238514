//! Table 11 (appendix): sharing the up or the down projections.

use crate::reproduce::grid::{Grid, Source};

/// Sharing the up or the down projections.
pub const EXHIBIT: Grid = Grid {
    published: "table11",
    title: "Sharing the up or the down projections",
    rows: &[("share-up", Source::Runs), ("share-down", Source::Runs)],
    average: false,
    notes: &[],
};
