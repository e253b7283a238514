//! Scorers of generated text.

pub mod bleu;
pub mod chrf;
pub mod cider;
mod error;
pub mod io;
pub mod meteor;
pub mod mteval;
mod ngrams;
pub mod nltk_words;
pub mod ptb;
pub mod rouge_l;
pub mod ter;
