//! One run, read top to bottom: [`train`] calls the parts in the order in which they happen. The loop is the
//! [`Driver`]'s; what is trained in it implements [`Training`].

mod adapted;
mod attach;
mod base;
mod certainty;
mod classification;
mod classifier;
mod data;
mod driver;
mod ending;
mod evaluate;
pub mod generation;
mod identity;
mod mode;
mod plan;
mod prompted;
mod records;
mod schedule;
mod served;
mod sitting;
mod step;
mod tokens;
mod trace;
mod train;
mod update;

pub use adapted::{Adapted, is_head};
pub use attach::{adapt, stored};
pub use base::{Base, BaseConfig, BaseModel};
pub use certainty::{Certainty, MeanDoubt};
pub use classifier::adapt_classifier;
pub use data::{TaskData, number_of_steps, targets};
pub use driver::{Driver, Finished, Micros, Training};
pub use ending::Outcome;
pub use evaluate::{Evaluator, Predictions, argmax};
pub use identity::{Identities, identity};
pub use mode::Mode;
pub use prompted::Prompted;
pub use schedule::learning_rate;
pub use served::{Backbone, Served};
pub use sitting::Sitting;
pub use step::input;
pub use trace::{MicroTrace, StepTrace};
pub use train::train;
