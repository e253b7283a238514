//! Table 3: E2E on GPT-2 medium.

use crate::reproduce::grid::{Grid, Source};

/// E2E NLG challenge, GPT-2 medium.
pub const EXHIBIT: Grid = Grid {
    published: "table3",
    title: "E2E NLG challenge, GPT-2 medium",
    rows: &[
        ("full", Source::Runs),
        ("adapter-l-small", Source::Runs),
        ("adapter-l", Source::Runs),
        ("houlsby", Source::Runs),
        ("top2", Source::Runs),
        ("prefix-layer", Source::Runs),
        ("lora", Source::Runs),
        ("adamix-adapter", Source::Runs),
        ("adamix-lora", Source::Runs),
    ],
    average: false,
    notes: &[],
};
