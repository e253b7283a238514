//! Scores of predictions against references.

pub mod nlg;
