//! Why an adaptation cannot be attached or routed.

use thiserror::Error;

/// Why an adaptation cannot be attached.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SiteError {
    /// A pattern that matches nothing.
    #[error("no site matches `{pattern}`; sites end in {known}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// What would match.
        known: String,
    },
    /// An adaptation that has no effect at a place.
    #[error("`{site}` cannot hold the adaptation `{kind}`{reason}")]
    Kind {
        /// The place.
        site: String,
        /// What was to go there.
        kind: &'static str,
        /// Why not, if more is to be said.
        reason: &'static str,
    },
    /// A pattern that names no parameter of the base model.
    #[error("no parameter of the base model is named by `{0}`")]
    NoParameter(String),
    /// A policy that cannot decide for an adaptation.
    #[error("`{site}`: the policy `{policy}` cannot route this adaptation, which {reason}")]
    Policy {
        /// The place.
        site: String,
        /// The policy.
        policy: String,
        /// What the adaptation is or lacks.
        reason: &'static str,
    },
    /// Mixtures for which one decision is made, and that one decision cannot serve.
    #[error(
        "`{site}` would hold mixtures of {first:?} and of {second:?} down- and up-projections, which are decided for as one"
    )]
    Counts {
        /// The site that they share.
        site: String,
        /// Down- and up-projections of the first.
        first: (usize, usize),
        /// Of another.
        second: (usize, usize),
    },
    /// A place that already holds something.
    #[error("`{site}` would hold two adaptations")]
    Occupied {
        /// The place.
        site: String,
    },
}
