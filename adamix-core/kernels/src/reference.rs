//! Plain 64-bit implementations that the tests compare with, and what tests share.

use adamix_keys::Key;
use burn::tensor::{Device, Tensor, TensorData};

/// `n` numbers uniform in `[-size, size)`.
pub(crate) fn values(seed: u64, n: usize, size: f64) -> Vec<f32> {
    let key = Key::new(seed);
    (0..n as u64)
        .map(|i| ((key.fold(i).uniform() * 2.0 - 1.0) * size) as f32)
        .collect()
}

/// A tensor outside autodiff.
pub(crate) fn plain<const D: usize>(values: &[f32], dims: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), dims), &Device::flex())
}

/// A tensor that gets a gradient.
pub(crate) fn leaf<const D: usize>(values: &[f32], dims: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values.to_vec(), dims), &device).require_grad()
}

/// A tensor's values.
pub(crate) fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    let values: Vec<f32> = tensor.to_data().try_to_vec().unwrap();
    values.into_iter().map(f64::from).collect()
}

/// 32-bit values in 64 bits.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// Fails unless every value is within `tolerance * max(1, |expected|)` of the expected one.
#[track_caller]
pub(crate) fn close<const D: usize>(actual: &Tensor<D>, expected: &[f64], tolerance: f64) {
    let actual = host(actual);
    assert_eq!(actual.len(), expected.len());
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let error = (a - e).abs() / e.abs().max(1.0);
        // Not `>`, so that a NaN fails.
        assert!(error <= tolerance, "element {i}: {a} instead of {e}");
    }
}

/// Fails unless a computation gives the same bits on 1, 2, 3 and 5 threads, twice each.
#[track_caller]
pub(crate) fn same<const D: usize>(compute: impl Fn() -> Tensor<D> + Sync) {
    let expected = compute().into_data();
    for threads in [1, 2, 3, 5, 1, 2, 3, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let actual = pool.unwrap().install(&compute).into_data();
        assert!(actual == expected, "{threads} threads differ");
    }
}

/// The gradient of `Σ weights · f(x)` by central differences.
pub(crate) fn numeric_gradient(
    x: &[f64],
    weights: &[f32],
    f: impl Fn(&[f64]) -> Vec<f64>,
) -> Vec<f64> {
    let step = 1e-5;
    let loss = |x: &[f64]| -> f64 {
        f(x).iter()
            .zip(weights)
            .map(|(y, &w)| y * f64::from(w))
            .sum()
    };
    (0..x.len())
        .map(|i| {
            let mut moved = x.to_vec();
            moved[i] = x[i] + step;
            let above = loss(&moved);
            moved[i] = x[i] - step;
            (above - loss(&moved)) / (2.0 * step)
        })
        .collect()
}

/// The error function: its Taylor series, and the continued fraction of its complement further out.
pub(crate) fn erf(z: f64) -> f64 {
    let a = z.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..100 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let fraction = (1..60).rev().fold(a, |f, k| a + f64::from(k) / 2.0 / f);
        1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / fraction
    };
    value.copysign(z)
}

pub(crate) fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2f64.sqrt()))
}

pub(crate) fn gelu_derivative(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    0.5 * (1.0 + erf(x / 2f64.sqrt())) + x * density
}

pub(crate) fn gelu_tanh(x: f64) -> f64 {
    let c = (2.0 / std::f64::consts::PI).sqrt();
    0.5 * x * (1.0 + (c * (x + 0.044715 * x.powi(3))).tanh())
}

pub(crate) fn gelu_tanh_derivative(x: f64) -> f64 {
    let c = (2.0 / std::f64::consts::PI).sqrt();
    let t = (c * (x + 0.044715 * x.powi(3))).tanh();
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x)
}

#[test]
fn erf_agrees_with_scipy() {
    // scipy.special.erf, 1.17
    for (z, expected) in [
        (0.3, 0.3286267594591274),
        (-1.2, -0.9103139782296353),
        (2.9, 0.9999589021219005),
        (3.1, 0.9999883513426328),
    ] {
        assert!((erf(z) - expected).abs() < 1e-11, "{z}");
    }
}

/// The product of row-major matrices `[m, k]` and `[k, n]`.
pub(crate) fn matrix_product(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    (0..m * n)
        .map(|i| (0..k).map(|l| a[i / n * k + l] * b[l * n + i % n]).sum())
        .collect()
}

/// Layer normalisation of rows as long as `gamma`.
pub(crate) fn layer_norm(x: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64) -> Vec<f64> {
    let units = gamma.len();
    x.chunks(units)
        .flat_map(|row| {
            let mean = row.iter().sum::<f64>() / units as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / units as f64;
            (0..units)
                .map(move |i| (row[i] - mean) / (variance + epsilon).sqrt() * gamma[i] + beta[i])
        })
        .collect()
}

/// Attention over row-major `[batch, heads, tokens, head_dim]` arrays, with the factors of dropout.
pub(crate) fn attention(
    [q, k, v]: [&[f64]; 3],
    mask: &[f32],
    factors: Option<&[f64]>,
    causal: bool,
    [batch, heads, queries, keys, head_dim]: [usize; 5],
) -> Vec<f64> {
    let mut out = vec![0.0; batch * heads * queries * head_dim];
    for row in 0..batch * heads * queries {
        let (head, query) = (row / queries, row % queries);
        let mask = &mask[head / heads * keys..][..keys];
        let visible = if causal {
            keys - queries + query + 1
        } else {
            keys
        };
        let padded = mask[..visible].iter().all(|&m| m == 0.0);
        let weights: Vec<f64> = (0..visible)
            .map(|key| {
                let score: f64 = (0..head_dim)
                    .map(|i| q[row * head_dim + i] * k[(head * keys + key) * head_dim + i])
                    .sum();
                // Where everything is padding, the bias swallows the score, as it does in 32 bits.
                match (padded, mask[key] == 0.0) {
                    (true, _) => 1.0,
                    (false, true) => 0.0,
                    (false, false) => (score / (head_dim as f64).sqrt()).exp(),
                }
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for (key, weight) in weights.iter().enumerate() {
            let factor = factors.map_or(1.0, |factors| factors[row * keys + key]);
            for i in 0..head_dim {
                let value = v[(head * keys + key) * head_dim + i];
                out[row * head_dim + i] += weight / total * factor * value;
            }
        }
    }
    out
}
