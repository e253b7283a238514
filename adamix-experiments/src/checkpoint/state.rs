//! What a run is at a moment between two steps.

use std::collections::BTreeMap;

use adamix_core::merging::Average;
use adamix_core::parameter::HostTensor;
use adamix_core::routing::Usage;
use serde::{Deserialize, Serialize};

use crate::run::Measured;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The epoch under way, from 1; once its measurement is done, the next.
    pub epoch: usize,
    /// Its steps that are done.
    pub done: usize,
    /// All steps that are done.
    pub step: usize,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            epoch: 1,
            done: 0,
            step: 0,
        }
    }
}

/// Seconds by part, over all sittings of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// Before the first step.
    pub preparation: f64,
    /// In steps.
    pub training: f64,
    /// In measurements.
    pub evaluation: f64,
    /// In steps of the epoch under way.
    pub epoch: f64,
}

/// A measured state of the model, which may be the one that a run is remembered by.
#[derive(Clone, Debug)]
pub struct Kept<P> {
    /// The values of all that training moves.
    pub values: BTreeMap<String, HostTensor>,
    /// Its scores.
    pub measured: Measured,
    /// What it predicted.
    pub predictions: P,
}

/// All of a run that is neither model nor optimiser.
#[derive(Clone, Debug)]
pub struct State<P> {
    /// Where it stands.
    pub position: Position,
    /// What it took.
    pub clocks: Clocks,
    /// The best measured state so far.
    pub best: Option<Kept<P>>,
    /// The last measured state.
    pub last: Option<Kept<P>>,
    /// How often each expert ran.
    pub usage: Usage,
    /// The average over the steps, where the run takes one.
    pub average: Option<Average>,
}

impl<P> Default for State<P> {
    fn default() -> Self {
        Self {
            position: Position::default(),
            clocks: Clocks::default(),
            best: None,
            last: None,
            usage: Usage::default(),
            average: None,
        }
    }
}
