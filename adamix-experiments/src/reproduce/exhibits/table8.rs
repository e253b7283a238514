//! Table 8: what consistency and sharing contribute.

use crate::reproduce::grid::{Grid, Source};

/// Consistency and sharing.
pub const EXHIBIT: Grid = Grid {
    published: "table8",
    title: "Consistency and sharing",
    rows: &[
        ("full", Source::Runs),
        ("adamix", Source::Runs),
        ("no-consistency", Source::Runs),
        ("no-sharing", Source::Runs),
    ],
    average: false,
    notes: &[],
};
