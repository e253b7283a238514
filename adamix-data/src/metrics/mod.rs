//! Scores of predictions.

pub mod glue;
mod metric;
pub mod nlg;

pub use metric::{Metric, evaluate};
