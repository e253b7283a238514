//! A batch on the device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::EncoderConfig;

/// Token ids with all that is derived from them.
#[derive(Clone, Debug)]
pub struct EncoderInput {
    /// `[batch, tokens]`.
    pub ids: Tensor<2, Int>,
    /// `[batch, tokens]`.
    pub positions: Tensor<2, Int>,
    /// `[batch, tokens]`.
    pub types: Tensor<2, Int>,
    /// `[batch, tokens]`: 1 for a token, 0 for padding.
    pub mask: Tensor<2>,
}

impl EncoderInput {
    /// From row-major arrays of `batch * tokens` values. Token types beyond the model's table (a pair given
    /// to RoBERTa, which has one type) count as type 0, as its tokenizer never gives any other.
    ///
    /// # Panics
    /// If the arrays' lengths differ or are no multiple of `tokens`.
    pub fn new(
        config: &EncoderConfig,
        ids: &[i32],
        types: &[i32],
        mask: &[f32],
        tokens: usize,
        device: &Device,
    ) -> Self {
        let shape = [ids.len() / tokens, tokens];
        let integers =
            |values: Vec<i32>| Tensor::<2, Int>::from_data(TensorData::new(values, shape), device);
        let last = config.type_vocab_size as i32 - 1;
        Self {
            positions: integers(config.positions(ids, tokens)),
            types: integers(types.iter().map(|t| (*t).min(last)).collect()),
            ids: integers(ids.to_vec()),
            mask: Tensor::from_data(TensorData::new(mask.to_vec(), shape), device),
        }
    }
}
