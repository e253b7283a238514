//! Run folders: what a run leaves behind, and the id under which it is known.

mod folder;
mod id;
mod records;

pub use folder::{RunFolder, Started};
pub use id::{Identity, SEMANTICS, rerun};
pub use records::{AccountRecord, JsonLines, Measured, Metrics, RunResult};
