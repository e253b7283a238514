//! Text from structured data with a decoder: E2E, WebNLG and DART.

mod base;
mod data;
mod decode;
mod evaluate;
mod measure;
mod prompts;
mod score;
mod step;
mod train;
mod training;

pub use base::DecoderBase;
pub use data::GenerationData;
pub use decode::{Decoding, Text, write_texts};
pub use evaluate::Remeasure;
pub use measure::{LossOn, METRICS};
pub use prompts::{Lines, read_prompts};
pub use score::score;
pub use train::train;
