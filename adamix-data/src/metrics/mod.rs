//! Scores of predictions.

mod calibration;
pub mod glue;
mod metric;
pub mod nlg;

pub use calibration::{ReliabilityBin, calibration_error, reliability};
pub use metric::{Metric, evaluate};
