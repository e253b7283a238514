//! Table 7: merging against random and fixed routing and the ensemble, on the mean over tasks.

use crate::reproduce::grid::{Grid, Source};
use crate::reproduce::want::Mode;

/// Merging and its alternatives.
pub const EXHIBIT: Grid = Grid {
    published: "table7",
    title: "Merging and its alternatives",
    rows: &[
        ("full", Source::Runs),
        ("adamix", Source::Runs),
        ("random", Source::Mode(Mode::Random)),
        ("fixed", Source::Mode(Mode::Fixed)),
        ("ensemble", Source::Mode(Mode::Ensemble)),
    ],
    average: true,
    notes: &[
        "Random routing is the mean over draws; each draw sends every example through its own random modules.",
    ],
};
