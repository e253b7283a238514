//! Frozen backbones and the places where adaptation modules sit in them.
//!
//! [`encoder`] is BERT and RoBERTa; [`gpt2`] is the decoder, with its decoding; [`hub`] reads and writes
//! Hugging Face folders and adapters.

#![forbid(unsafe_code)]

pub mod encoder;
pub mod gpt2;
pub mod hub;
pub mod pass;
