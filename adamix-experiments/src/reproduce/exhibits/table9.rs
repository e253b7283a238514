//! Table 9: the number of modules.

use crate::reproduce::grid::{Grid, Source};

/// Number of modules.
pub const EXHIBIT: Grid = Grid {
    published: "table9",
    title: "Number of modules",
    rows: &[
        ("m2", Source::Runs),
        ("m4", Source::Runs),
        ("m8", Source::Runs),
    ],
    average: false,
    notes: &[],
};
