//! Data sets, tokenisation, batches and scorers. No tensors.
