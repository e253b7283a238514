//! Layer normalisation on the CPU, some rows at a time.

use crate::columns::{BLOCK, total};
use crate::flex::{rows, slice, tensor, uninitialised};
use crate::math::{dot, fma, sum};
use crate::simd::multiversion;
use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use rayon::prelude::*;

/// Rows of one unit of parallel work.
const ROWS: usize = 16;

/// Layer normalisation.
pub(super) fn forward(
    x: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f64,
) -> FlexTensor {
    let (x, gamma, beta) = (
        x.to_contiguous(),
        gamma.to_contiguous(),
        beta.to_contiguous(),
    );
    let ((_, units), input) = (rows(&x), slice(&x));
    let (gamma, beta) = (slice(&gamma), slice(&beta));
    // SAFETY: the chunks cover the buffer, and the kernel assigns every element of a chunk.
    let mut output = unsafe { uninitialised(input.len()) };
    let chunk = (ROWS * units).max(1);
    output
        .par_chunks_mut(chunk)
        .zip(input.par_chunks(chunk))
        .for_each(|(y, x)| normalise(x, gamma, beta, epsilon as f32, y));
    tensor(output, x.shape())
}

/// Layer normalisation of a sum that is not kept.
pub(super) fn forward_sum(
    x: FlexTensor,
    residual: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f64,
) -> FlexTensor {
    let (x, residual) = (x.to_contiguous(), residual.to_contiguous());
    let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
    let ((_, units), input) = (rows(&x), slice(&x));
    let (gamma, beta) = (slice(&gamma), slice(&beta));
    // SAFETY: the chunks cover the buffer, and the kernel assigns every element of a chunk.
    let mut output = unsafe { uninitialised(input.len()) };
    let chunk = (ROWS * units).max(1);
    output
        .par_chunks_mut(chunk)
        .zip(
            input
                .par_chunks(chunk)
                .zip(slice(&residual).par_chunks(chunk)),
        )
        .for_each_init(
            || vec![0.0; chunk],
            |sums, (y, (x, residual))| {
                let sums = &mut sums[..x.len()];
                add(x, residual, sums);
                normalise(sums, gamma, beta, epsilon as f32, y);
            },
        );
    tensor(output, x.shape())
}

/// Layer normalisation of a sum, and the sum.
pub(super) fn forward_and_sum(
    x: FlexTensor,
    residual: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f64,
) -> (FlexTensor, FlexTensor) {
    let (x, residual) = (x.to_contiguous(), residual.to_contiguous());
    let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
    let ((_, units), input) = (rows(&x), slice(&x));
    let (gamma, beta) = (slice(&gamma), slice(&beta));
    // SAFETY: the chunks cover the buffers, and the kernels assign every element of a chunk.
    let (mut output, mut total) =
        unsafe { (uninitialised(input.len()), uninitialised(input.len())) };
    let chunk = (ROWS * units).max(1);
    output
        .par_chunks_mut(chunk)
        .zip(total.par_chunks_mut(chunk))
        .zip(
            input
                .par_chunks(chunk)
                .zip(slice(&residual).par_chunks(chunk)),
        )
        .for_each(|((y, sums), (x, residual))| {
            add(x, residual, sums);
            normalise(sums, gamma, beta, epsilon as f32, y);
        });
    (tensor(output, x.shape()), tensor(total, x.shape()))
}

/// The gradient of the input.
pub(super) fn input_gradient(
    x: FlexTensor,
    gamma: FlexTensor,
    gradient: FlexTensor,
    epsilon: f64,
) -> FlexTensor {
    let (x, gamma) = (x.to_contiguous(), gamma.to_contiguous());
    let gradient = gradient.to_contiguous();
    let ((_, units), input) = (rows(&x), slice(&x));
    let (gamma, upstream) = (slice(&gamma), slice(&gradient));
    // SAFETY: the chunks cover the buffer, and the kernel assigns every element of a chunk.
    let mut output = unsafe { uninitialised(input.len()) };
    let chunk = (ROWS * units).max(1);
    output
        .par_chunks_mut(chunk)
        .zip(input.par_chunks(chunk).zip(upstream.par_chunks(chunk)))
        .for_each_init(
            || vec![0.0; units],
            |scaled, (dx, (x, dy))| input_gradient_rows(x, gamma, dy, epsilon as f32, scaled, dx),
        );
    tensor(output, x.shape())
}

/// The gradients of gamma and beta.
pub(super) fn parameter_gradients(
    x: FlexTensor,
    gradient: FlexTensor,
    epsilon: f64,
) -> (FlexTensor, FlexTensor) {
    let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
    let ((_, units), input) = (rows(&x), slice(&x));
    let block = (BLOCK * units).max(1);
    let parts = input
        .par_chunks(block)
        .zip(slice(&gradient).par_chunks(block))
        .map(|(x, dy)| {
            let mut sums = vec![0.0; 2 * units];
            let mut centred = vec![0.0; units];
            let (dgamma, dbeta) = sums.split_at_mut(units);
            parameter_gradient_rows(x, dy, epsilon as f32, &mut centred, dgamma, dbeta);
            sums
        })
        .collect::<Vec<_>>();
    let mut dgamma = total(&parts, 2 * units);
    let dbeta = dgamma.split_off(units);
    let shape = Shape::from([units]);
    (tensor(dgamma, shape.clone()), tensor(dbeta, shape))
}

multiversion! { fn add(x: &[f32], y: &[f32], out: &mut [f32]) = add_body }
multiversion! {
    /// Normalises each row of `x`.
    fn normalise(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, y: &mut [f32])
        = normalise_body
}
multiversion! {
    /// The gradient of each row of `x`; `scaled` is scratch of one row.
    fn input_gradient_rows(
        x: &[f32], gamma: &[f32], dy: &[f32], epsilon: f32, scaled: &mut [f32], dx: &mut [f32],
    ) = input_gradient_body
}
multiversion! {
    /// Adds the rows' shares to the gradients of gamma and beta; `centred` is scratch of one row.
    fn parameter_gradient_rows(
        x: &[f32], dy: &[f32], epsilon: f32, centred: &mut [f32], dgamma: &mut [f32], dbeta: &mut [f32],
    ) = parameter_gradients_body
}

#[inline(always)]
fn add_body<const FMA: bool>(x: &[f32], y: &[f32], out: &mut [f32]) {
    for ((x, y), out) in x.iter().zip(y).zip(out) {
        *out = x + y;
    }
}

/// Writes `x - mean` and returns `1 / sqrt(variance + epsilon)`.
#[inline(always)]
fn centre<const FMA: bool>(x: &[f32], epsilon: f32, centred: &mut [f32]) -> f32 {
    let units = x.len() as f32;
    let mean = sum(x) / units;
    for (centred, x) in centred.iter_mut().zip(x) {
        *centred = x - mean;
    }
    1.0 / (dot::<FMA>(centred, centred) / units + epsilon).sqrt()
}

#[inline(always)]
fn normalise_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    y: &mut [f32],
) {
    let units = gamma.len();
    for (x, y) in x.chunks_exact(units).zip(y.chunks_exact_mut(units)) {
        let scale = centre::<FMA>(x, epsilon, y);
        for ((y, gamma), beta) in y.iter_mut().zip(gamma).zip(beta) {
            *y = fma::<FMA>(*y * scale, *gamma, *beta);
        }
    }
}

#[inline(always)]
fn input_gradient_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    dy: &[f32],
    epsilon: f32,
    scaled: &mut [f32],
    dx: &mut [f32],
) {
    let units = gamma.len();
    let rows = x.chunks_exact(units).zip(dy.chunks_exact(units));
    for ((x, dy), dx) in rows.zip(dx.chunks_exact_mut(units)) {
        // With n = (x - mean) scale and h = dy gamma: dx = scale (h - mean(h) - n mean(h n)).
        let scale = centre::<FMA>(x, epsilon, dx);
        for ((scaled, dy), gamma) in scaled.iter_mut().zip(dy).zip(gamma) {
            *scaled = dy * gamma;
        }
        let mean = sum(scaled) / units as f32;
        let slope = dot::<FMA>(scaled, dx) * scale * scale / units as f32;
        for (dx, scaled) in dx.iter_mut().zip(scaled.iter()) {
            *dx = scale * fma::<FMA>(-*dx, slope, scaled - mean);
        }
    }
}

#[inline(always)]
fn parameter_gradients_body<const FMA: bool>(
    x: &[f32],
    dy: &[f32],
    epsilon: f32,
    centred: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let units = centred.len();
    for (x, dy) in x.chunks_exact(units).zip(dy.chunks_exact(units)) {
        let scale = centre::<FMA>(x, epsilon, centred);
        let gradients = dgamma.iter_mut().zip(dbeta.iter_mut());
        for (((dgamma, dbeta), dy), centred) in gradients.zip(dy).zip(centred.iter()) {
            *dgamma = fma::<FMA>(*dy, centred * scale, *dgamma);
            *dbeta += dy;
        }
    }
}
