//! Merging after training: of one run's experts or of several runs, by rules that look at data too, and how far
//! the merged model is from the ensemble that it stands for.

mod candidates;
mod comparison;
mod fisher;
mod inputs;
mod rows;
mod rules;
mod soup;
mod verify;

pub use candidates::{Candidates, Parameter};
pub use comparison::{Comparison, Distance, compare, distance};
pub use fisher::information;
pub use inputs::grams;
pub use rows::{Answer, ClassificationRows, GenerationRows, Rows, Tally, part};
pub use rules::{Found, Gatherer, needs_rows};
pub use soup::{LearnedSoup, greedy, learned};
pub use verify::{SiteReport, Verification, verify};
