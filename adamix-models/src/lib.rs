//! Frozen backbones and the places where adaptation modules sit in them.
//!
//! [`encoder`] is BERT and RoBERTa, [`site`] the places in it that adaptations can take; [`gpt2`] is the decoder, with its decoding; [`hub`] reads and writes
//! Hugging Face folders and adapters.

#![forbid(unsafe_code)]

mod below;
mod block;
pub mod encoder;
pub mod gpt2;
pub mod hub;
mod mask;
pub mod pass;
mod projection;
pub mod site;

pub use projection::Projection;
