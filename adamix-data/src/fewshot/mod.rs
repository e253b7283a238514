//! Learning from a few labelled rows with prompts: templates, label words, and who the few rows are.
//!
//! A [`Prompt`] turns an example into a sentence with one masked word, and each label into a word that may stand there.
//! [`list_split`] reads the fixed splits of LiST (Wang et al. 2021), which the paper's few-shot table uses: 30 rows in
//! all, not balanced. [`k_per_class`] draws balanced training rows as LM-BFF does (Gao et al. 2021).

mod draw;
mod files;
mod prompt;
mod tasks;

pub use draw::k_per_class;
pub use files::{ROWS, SPLITS, list_split};
pub use prompt::Prompt;
pub use tasks::task;
