//! One run, read top to bottom: [`train`] calls the parts in the order in which they happen.

mod base;
mod data;
mod evaluate;
mod schedule;
mod step;
mod trace;
mod train;

pub use base::{Adapted, Base, adapt, is_head};
pub use data::{TaskData, encode, number_of_steps};
pub use evaluate::{Evaluator, Mode, Predictions, argmax};
pub use schedule::learning_rate;
pub use train::{Outcome, train};
