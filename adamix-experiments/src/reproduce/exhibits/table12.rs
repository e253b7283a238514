//! Table 12 (appendix): the width of the bottleneck, BERT-base.

use crate::reproduce::grid::{Grid, Source};

/// Width of the bottleneck, BERT-base.
pub const EXHIBIT: Grid = Grid {
    published: "table12",
    title: "Width of the bottleneck, BERT-base",
    rows: &[
        ("d8", Source::Runs),
        ("d16", Source::Runs),
        ("d32", Source::Runs),
        ("d48", Source::Runs),
        ("d64", Source::Runs),
    ],
    average: false,
    notes: &[],
};
