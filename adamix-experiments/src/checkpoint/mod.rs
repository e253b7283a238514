//! What an interrupted run goes on from, for every kind of run.
//!
//! A [`Store`] is the folder `checkpoint/` of a run's folder. A save writes the tensors' files first and
//! `state.json`, which names them, last of all and at once: a process that dies while saving leaves the
//! checkpoint before. Nothing in it depends on a clock or on a file's time.

pub mod lock;
mod origin;
mod state;
mod store;

pub use lock::{Busy, Lock};
pub use origin::Origin;
pub use state::{Clocks, Kept, Position, State};
pub use store::{Saved, Store};
