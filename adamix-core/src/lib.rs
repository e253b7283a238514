//! The method of AdaMix: mixtures of adaptation modules, stochastic routing, consistency and merging.
//!
//! This crate knows no transformer, no data set and no file format. An [`adaptation`] owns [`bank`]s of
//! projections; a [`routing`] policy decides which of them a pass runs; [`merging`] makes one module of
//! many; [`consistency`] pulls two passes together; [`optimizer`] moves what is trained.

#![forbid(unsafe_code)]

pub mod account;
pub mod adaptation;
pub mod bank;
pub mod consistency;
pub mod ensemble;
pub mod layer_norm;
pub mod linear;
pub mod merging;
pub mod mixture;
pub mod objective;
pub mod optimizer;
pub mod options;
pub mod parameter;
pub mod pattern;
pub mod random;
pub mod registry;
pub mod routing;
