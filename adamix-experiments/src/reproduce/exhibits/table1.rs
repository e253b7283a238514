//! Table 1: GLUE on RoBERTa-large.

use crate::reproduce::grid::{Grid, Source};

/// GLUE, RoBERTa-large.
pub const EXHIBIT: Grid = Grid {
    published: "table1",
    title: "GLUE, RoBERTa-large",
    rows: &[
        ("full", Source::Runs),
        ("pfeiffer-3m", Source::Runs),
        ("pfeiffer-0.8m", Source::Runs),
        ("houlsby-6m", Source::Runs),
        ("houlsby-0.8m", Source::Runs),
        ("lora", Source::Runs),
        ("adamix", Source::Runs),
    ],
    average: true,
    notes: &[],
};
