//! Table 14 (appendix): merging and its alternatives, task by task.

use crate::reproduce::grid::{Grid, Source};
use crate::reproduce::want::Mode;

/// Merging and its alternatives, task by task.
pub const EXHIBIT: Grid = Grid {
    published: "table14",
    title: "Merging and its alternatives, task by task",
    rows: &[
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
