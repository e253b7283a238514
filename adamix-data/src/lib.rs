//! Data sets, tokenisation, batches and scorers. No tensors.

pub mod metrics;
