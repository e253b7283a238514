//! Table 2 of the first version, Table 13 of the EMNLP version: GLUE on BERT-base.

use crate::reproduce::grid::{Grid, Source};

/// GLUE, BERT-base.
pub const EXHIBIT: Grid = Grid {
    published: "table2",
    title: "GLUE, BERT-base",
    rows: &[
        ("full", Source::Runs),
        ("houlsby", Source::Runs),
        ("bitfit", Source::Runs),
        ("prefix", Source::Runs),
        ("lora", Source::Runs),
        ("unipelt-ap", Source::Runs),
        ("unipelt-apl", Source::Runs),
        ("adamix", Source::Runs),
    ],
    average: true,
    notes: &[],
};
