//! Scorers of generated text.

pub mod cider;
mod error;
pub mod io;
pub mod meteor;
pub mod mteval;
mod ngrams;
pub mod ptb;
pub mod rouge_l;
