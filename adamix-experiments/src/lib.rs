//! The `adamix` program as a library: configs, recipes, run folders and the verbs.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod device;
pub mod embedded;
pub mod plot;
pub mod pretrain;
pub mod recipe;
pub mod report;
pub mod run;
pub mod statistics;
