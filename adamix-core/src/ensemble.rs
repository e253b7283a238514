//! Several paths through one mixture, read as one prediction.

use burn::tensor::Tensor;

/// The mean of several paths' logits (the paper's ensemble baseline of table 7).
///
/// # Shapes
/// - each path: `[batch, classes]`
/// - output: `[batch, classes]`
///
/// # Panics
/// If there is no path.
pub fn mean_logits(paths: Vec<Tensor<2>>) -> Tensor<2> {
    let count = paths.len() as f64;
    let sum = paths.into_iter().reduce(|a, b| a + b);
    sum.expect("an ensemble has at least one path") / count
}
