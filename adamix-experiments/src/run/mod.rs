//! Run folders: what a run leaves behind, and the id under which it is known.

mod filter;
mod folder;
mod id;
mod records;
mod store;

pub use filter::{Filter, facts, keys};
pub use folder::{RunFolder, Started};
pub use id::{Identity, SEMANTICS, chosen, rerun};
pub use records::{AccountRecord, JsonLines, Measured, Metrics, RunResult, Tested, read_metrics};
pub use store::{Stored, find, locate};
