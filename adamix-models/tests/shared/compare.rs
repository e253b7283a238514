//! Values of tensors and JSON, and how far they are apart.

use burn::tensor::Tensor;
use serde_json::Value;

use crate::shared;

/// A tensor's values, row-major.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// All numbers of a JSON value.
pub fn floats(value: &Value) -> Vec<f32> {
    let numbers = shared::numbers(value);
    numbers.into_iter().map(|v| v as f32).collect()
}

/// All numbers of a JSON value as token ids or indices.
pub fn ids(value: &Value) -> Vec<u32> {
    let numbers = shared::numbers(value);
    numbers.into_iter().map(|v| v as u32).collect()
}

/// The largest difference over the largest value.
pub fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    // `max` would pass over what is no number.
    let mut all = found.iter().chain(expected);
    assert!(all.all(|v| v.is_finite()), "{found:?} {expected:?}");
    let largest = expected.iter().fold(1e-12f32, |m, v| m.max(v.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0f32, |m, (f, e)| m.max((f - e).abs())) / largest
}
