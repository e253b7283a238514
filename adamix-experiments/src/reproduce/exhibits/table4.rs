//! Table 4: DART on GPT-2 medium.

use crate::reproduce::grid::{Grid, Source};

/// DART, GPT-2 medium.
pub const EXHIBIT: Grid = Grid {
    published: "table4",
    title: "DART, GPT-2 medium",
    rows: &[
        ("full", Source::Runs),
        ("adapter-l-small", Source::Runs),
        ("adapter-l", Source::Runs),
        ("top2", Source::Runs),
        ("prefix-layer", Source::Runs),
        ("lora", Source::Runs),
        ("adamix-adapter", Source::Runs),
        ("adamix-lora", Source::Runs),
    ],
    average: false,
    notes: &[],
};
