//! Table 10: the width of the bottleneck, RoBERTa-large.

use crate::reproduce::grid::{Grid, Source};

/// Width of the bottleneck, RoBERTa-large.
pub const EXHIBIT: Grid = Grid {
    published: "table10",
    title: "Width of the bottleneck, RoBERTa-large",
    rows: &[
        ("d8", Source::Runs),
        ("d16", Source::Runs),
        ("d32", Source::Runs),
    ],
    average: false,
    notes: &[],
};
