//! Many runs: a file of axes becomes a plan of independent runs, which anybody may work off in any order.
//!
//! A plan is a list of [`Spec`]s, each with the id of its run. The folder of all runs, the *store*, is the only
//! thing that workers share: a run is done when its folder holds a result, and who works at it is written in its
//! claim. So the same command again finishes what is missing, whatever became of the last one.
//!
//! ```text
//! runs/<id>/                   a run's folder
//! runs/claims/<id>.json        who works at it, or why it failed
//! runs/sweeps/<name>/          sweep.toml, plan.jsonl, logs/, slurm/, chosen.toml
//! ```

mod axes;
mod choose;
mod claim;
mod criterion;
mod file;
mod folder;
mod halving;
mod local;
mod memory;
mod outcome;
mod plan;
mod search;
mod settings;
mod slurm;
mod status;
mod table;
mod view;
mod worker;

pub use axes::Point;
pub use choose::{Choice, choose, write_cases};
pub use claim::{Attempt, Claim, Claims, Seen};
pub use criterion::{Choose, Epoch, Goal};
pub use file::{Local, Resources, Slurm, SweepFile};
pub use folder::SweepFolder;
pub use local::{LocalOptions, run_here};
pub use outcome::Outcome;
pub use plan::{Spec, plan};
pub use search::{Halving, Search};
pub use settings::{Settings, short_names};
pub use slurm::{refuse_queued, submit};
pub use status::{RunStatus, Status};
pub use table::write_table;
pub use worker::{Ended, work_at, work_off};
