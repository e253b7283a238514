//! Table 5: WebNLG on GPT-2 medium.

use crate::reproduce::grid::{Grid, Source};

/// WebNLG 2017, GPT-2 medium.
pub const EXHIBIT: Grid = Grid {
    published: "table5",
    title: "WebNLG 2017, GPT-2 medium",
    rows: &[
        ("full", Source::Runs),
        ("adapter-l-small", Source::Runs),
        ("adapter-l", Source::Runs),
        ("top2", Source::Runs),
        ("prefix", Source::Runs),
        ("lora", Source::Runs),
        ("adamix-adapter", Source::Runs),
        ("adamix-lora", Source::Runs),
    ],
    average: false,
    notes: &[],
};
