//! Scorers of generated text, equal to the official programs without Java, Perl or Python.
//!
//! [`score`] and [`score_files`] compute whole sets of scores: the five of the E2E challenge, those of
//! WebNLG and DART, or a single one. Behind them stands one module for every metric, named after the
//! program it agrees with where several differ.

mod archive;
pub mod bleu;
pub mod bootstrap;
pub mod chrf;
pub mod cider;
mod data_folder;
mod error;
pub mod io;
pub mod meteor;
pub mod mteval;
mod ngrams;
pub mod nltk;
pub mod ptb;
pub mod rouge_l;
mod score;
pub mod ter;

pub use error::ScoreError;
pub use score::{Kind, Options, Score, Scores, Statistics, score, score_files};
