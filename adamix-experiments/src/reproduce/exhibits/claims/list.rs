//! What the paper claims, as comparisons of rows.

use super::super::{
    table1, table2, table3, table4, table5, table6, table7, table8, table9, table11, table14,
};
use crate::report::published::{Published, PublishedTable};
use crate::reproduce::columns::Column;
use crate::reproduce::grid::Grid;
use crate::reproduce::view::Reading;
use crate::reproduce::want::Mode;

/// A claim about two rows, on every task of a table.
pub struct Claim {
    /// In words.
    pub words: &'static str,
    /// What it says of them.
    pub says: Says,
    /// The table whose tasks and settings count.
    pub grid: Grid,
    /// A row, or AdaMix in a mode.
    pub first: Side,
    /// The same.
    pub second: Side,
}

/// What a claim says of its first row and its second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    /// The first is better.
    Better,
    /// They differ by less than [`MARGIN`](super::MARGIN).
    Alike,
}

/// One side of a comparison: a row, and how it is read.
#[derive(Clone, Copy)]
pub struct Side(pub &'static str, pub Reading);

const OWN: Reading = Reading::Own;

/// The claims, in the paper's order.
pub const CLAIMS: [Claim; 26] = [
    claim(
        "AdaMix is better than full fine-tuning",
        table1::EXHIBIT,
        "adamix",
        "full",
    ),
    claim(
        "AdaMix is better than one adapter of its size",
        table1::EXHIBIT,
        "adamix",
        "adapter",
    ),
    claim(
        "AdaMix is better than LoRA",
        table1::EXHIBIT,
        "adamix",
        "lora",
    ),
    claim(
        "AdaMix is better than a Pfeiffer adapter",
        table1::EXHIBIT,
        "adamix",
        "pfeiffer-0.8m",
    ),
    claim(
        "AdaMix is better than a Houlsby adapter",
        table1::EXHIBIT,
        "adamix",
        "houlsby-0.8m",
    ),
    claim(
        "Table 2: AdaMix is better than full fine-tuning",
        table2::EXHIBIT,
        "adamix",
        "full",
    ),
    claim(
        "Table 2: AdaMix is better than UniPELT (APL)",
        table2::EXHIBIT,
        "adamix",
        "unipelt-apl",
    ),
    claim(
        "Table 2: AdaMix is better than BitFit",
        table2::EXHIBIT,
        "adamix",
        "bitfit",
    ),
    claim(
        "Table 2: AdaMix is better than prefix-tuning",
        table2::EXHIBIT,
        "adamix",
        "prefix",
    ),
    mode(
        "Merging is better than random routing",
        Reading::In(Mode::Random),
    ),
    Claim {
        says: Says::Alike,
        ..mode(
            "Merging is as good as the best of the random draws (within a point)",
            Reading::BestOf(Mode::Random),
        )
    },
    mode(
        "Merging is better than always the first module",
        Reading::In(Mode::Fixed),
    ),
    mode(
        "Merging is better than the ensemble",
        Reading::In(Mode::Ensemble),
    ),
    claim(
        "Consistency helps",
        table8::EXHIBIT,
        "adamix",
        "no-consistency",
    ),
    claim("Sharing helps", table8::EXHIBIT, "adamix", "no-sharing"),
    claim(
        "Four modules are better than two",
        table9::EXHIBIT,
        "m4",
        "m2",
    ),
    claim(
        "Four modules are better than eight",
        table9::EXHIBIT,
        "m4",
        "m8",
    ),
    Claim {
        says: Says::Alike,
        ..claim(
            "Sharing up or down is alike (within a point)",
            table11::EXHIBIT,
            "share-up",
            "share-down",
        )
    },
    claim(
        "Few-shot: AdaMix is better than full prompt-based fine-tuning",
        table6::GRID,
        "adamix",
        "full",
    ),
    claim(
        "Few-shot: AdaMix is better than the LiST adapter",
        table6::GRID,
        "adamix",
        "list",
    ),
    claim(
        "E2E: AdaMix of LoRA is better than LoRA",
        table3::EXHIBIT,
        "adamix-lora",
        "lora",
    ),
    claim(
        "E2E: AdaMix of LoRA is better than full fine-tuning",
        table3::EXHIBIT,
        "adamix-lora",
        "full",
    ),
    claim(
        "DART: AdaMix of LoRA is better than LoRA",
        table4::EXHIBIT,
        "adamix-lora",
        "lora",
    ),
    claim(
        "DART: AdaMix of LoRA is better than full fine-tuning",
        table4::EXHIBIT,
        "adamix-lora",
        "full",
    ),
    claim(
        "WebNLG: AdaMix of LoRA is better than LoRA",
        table5::EXHIBIT,
        "adamix-lora",
        "lora",
    ),
    claim(
        "WebNLG: AdaMix of LoRA is better than full fine-tuning",
        table5::EXHIBIT,
        "adamix-lora",
        "full",
    ),
];

const fn claim(
    words: &'static str,
    grid: Grid,
    first: &'static str,
    second: &'static str,
) -> Claim {
    Claim {
        words,
        says: Says::Better,
        grid,
        first: Side(first, OWN),
        second: Side(second, OWN),
    }
}

const fn mode(words: &'static str, reading: Reading) -> Claim {
    Claim {
        words,
        says: Says::Better,
        grid: table14::EXHIBIT,
        first: Side("adamix", OWN),
        second: Side("adamix", reading),
    }
}

impl Claim {
    /// What a side is called: its row, or the mode.
    pub fn name(side: Side) -> String {
        match side.1 {
            Reading::Own => side.0.to_owned(),
            Reading::In(mode) => mode.name().to_owned(),
            Reading::BestOf(mode) => format!("best-of-{}", mode.name()),
        }
    }

    /// The published difference. Of merging's rivals that of figure 5 on the task, where it has them, else that of
    /// table 7's means over tasks.
    pub fn paper(&self, column: &Column) -> Option<f64> {
        let difference = |table: &PublishedTable, row: [&str; 2], column: [&str; 2]| {
            Some(table.cell(row[0], column[0])? - table.cell(row[1], column[1])?)
        };
        let rival = match self.second.1 {
            Reading::Own => {
                let rows = [self.first.0, self.second.0];
                return difference(self.grid.table(), rows, [&column.key; 2]);
            }
            Reading::In(Mode::Random) => "widest",
            Reading::BestOf(_) => "high",
            Reading::In(mode) => {
                let rows = [self.first.0, mode.name()];
                return difference(table7::EXHIBIT.table(), rows, ["avg"; 2]);
            }
        };
        let figure = Published::get().table("figure5-bert")?;
        difference(figure, [&column.task; 2], ["merged", rival])
    }
}
