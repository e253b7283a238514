//! Frozen backbones and the places where adaptation modules sit in them.
//!
//! [`encoder`] is BERT and RoBERTa; [`hub`] reads and writes Hugging Face folders and adapters.

#![forbid(unsafe_code)]

pub mod encoder;
pub mod hub;
pub mod pass;
