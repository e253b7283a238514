//! Learning from a few labelled rows.

use adamix_data::fewshot::SPLITS;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Which few rows are trained on, in place of the task's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FewShot {
    /// The number of a fixed split of LiST, below `data`: 30 training rows, and test rows to report on; 0 for none.
    pub split: usize,
    /// So many training rows of each class, drawn by the seed as in LM-BFF's protocol; 0 for all rows. That protocol
    /// selects on as many further rows; here `evaluation.after = "last"` selects nothing.
    pub per_class: usize,
}

impl FewShot {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.split <= SPLITS,
            "`few_shot.split` is {}; LiST has 1 to {SPLITS}, and 0 is for none",
            self.split
        );
        ensure!(
            self.split == 0 || self.per_class == 0,
            "`few_shot.split` and `few_shot.per_class` are two protocols; give one"
        );
        Ok(())
    }
}
