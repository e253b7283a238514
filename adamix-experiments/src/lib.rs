//! The `adamix` program as a library: configs, recipes, run folders and the verbs.

#![forbid(unsafe_code)]
// Verbs print through `say!`, which lets a reader go away.
#![deny(clippy::print_stdout)]

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod device;
pub mod embedded;
pub mod interrupt;
pub mod merge;
pub mod plot;
pub mod pretrain;
pub mod recipe;
pub mod report;
pub mod reproduce;
pub mod run;
pub mod statistics;
pub mod sweep;
