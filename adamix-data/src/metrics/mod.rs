//! Scores of predictions.

pub mod glue;
mod metric;

pub use metric::{Metric, evaluate};
