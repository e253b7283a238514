//! What is drawn in a step: routes and dropout masks, from keys.

use adamix_core::routing::{self, Routes, RoutingPolicy, Site};
use adamix_keys::Key;
use adamix_models::pass::{Pass, PassDropout};

/// The draws of a run.
#[derive(Debug)]
pub struct Draws<'a> {
    /// The run's seed.
    pub seed: u64,
    /// Who goes where.
    pub policy: &'a dyn RoutingPolicy,
    /// The mixtures that it decides for.
    pub sites: Vec<Site>,
    /// Whether anything is dropped.
    pub drops: bool,
}

impl Draws<'_> {
    /// Whether a second pass would differ from the first at all.
    pub fn differ(&self) -> bool {
        self.drops || !self.sites.is_empty()
    }

    /// The routes of a pass over the examples of these ids.
    pub fn routes(&self, step: usize, micro: usize, pass: usize, rows: &[u32]) -> Routes {
        let key = Key::new(self.seed)
            .purpose("routing")
            .fold(step as u64)
            .fold(micro as u64)
            .fold(pass as u64);
        routing::decide_all(self.policy, &self.sites, key, rows)
    }

    /// A pass along routes, with its dropout. Every place knows its own rate.
    pub fn pass<'b>(
        &self,
        step: usize,
        pass: usize,
        routes: &'b Routes,
        rows: &'b [u32],
    ) -> Pass<'b> {
        let key = Key::new(self.seed)
            .purpose("dropout")
            .fold(step as u64)
            .fold(pass as u64);
        let dropout = Some(PassDropout {
            key,
            examples: rows,
        });
        Pass {
            dropout,
            ..Pass::along(routes)
        }
    }
}
