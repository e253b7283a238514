//! Table 6: few-shot understanding with prompts, 30 labelled rows a task.

use super::grid::{Grid, Source};

/// Few-shot with prompts, 30 rows a task.
pub const EXHIBIT: Grid = Grid {
    published: "table6",
    title: "Few-shot with prompts, 30 rows a task",
    rows: &[
        ("full", Source::Runs),
        ("head", Source::Runs),
        ("bitfit", Source::Runs),
        ("prompt-tuning", Source::Runs),
        ("houlsby", Source::Runs),
        ("list", Source::Runs),
        ("adamix", Source::Runs),
    ],
    average: true,
    notes: &[
        "Each seed has its own fixed training rows, the splits of LiST; nothing is selected on development rows.",
    ],
};
