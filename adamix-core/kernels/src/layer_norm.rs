//! Layer normalisation over the last dimension, alone or after a residual sum.

use crate::columns::{BLOCK, total};
use crate::device::is_fused;
use crate::flex::{rows, slice, tensor, uninitialised};
use crate::math::{dot, fma, sum};
use crate::simd::multiversion;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last dimension.
///
/// Only `x` is kept for the backward pass; mean and variance are computed again.
///
/// # Shapes
/// - `x`: `[..., units]`, `gamma`, `beta`: `[units]`
///
/// # Panics
/// If the shapes do not fit.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    check(&x, &gamma, &beta);
    if !(is_fused(&x) && is_fused(&gamma) && is_fused(&beta)) {
        return composed(x, gamma, beta, epsilon);
    }
    Tensor::from_dispatch(Dispatch::fused_layer_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    ))
}

/// [`layer_norm`] of `x + residual`, of which only the sum is kept for the backward pass.
///
/// # Panics
/// If the shapes do not fit.
pub fn add_layer_norm<const D: usize>(
    x: Tensor<D>,
    residual: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    check(&x, &gamma, &beta);
    assert_eq!(
        x.dims(),
        residual.dims(),
        "layer normalisation: x and residual"
    );
    if !(is_fused(&x) && is_fused(&residual) && is_fused(&gamma) && is_fused(&beta)) {
        return composed(x + residual, gamma, beta, epsilon);
    }
    Tensor::from_dispatch(Dispatch::fused_add_layer_norm(
        x.into_dispatch(),
        residual.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    ))
}

fn check<const D: usize>(x: &Tensor<D>, gamma: &Tensor<1>, beta: &Tensor<1>) {
    let units = [x.dims()[D - 1]];
    assert_eq!(
        gamma.dims(),
        units,
        "layer normalisation: gamma and x's last dimension"
    );
    assert_eq!(
        beta.dims(),
        units,
        "layer normalisation: beta and x's last dimension"
    );
}

/// The same from Burn's own operations.
pub(crate) fn composed<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = (centred.clone() * centred.clone()).mean_dim(D - 1);
    centred / variance.add_scalar(epsilon).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait LayerNormOps: Backend {
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    fn fused_add_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    /// The normalised sum, and the sum itself for the backward pass.
    fn fused_sum_and_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn fused_layer_norm_input_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    /// The gradients of gamma and beta.
    fn fused_layer_norm_parameter_gradients(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Rows of one unit of parallel work.
const ROWS: usize = 16;

impl LayerNormOps for Flex {
    fn fused_layer_norm(
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

    fn fused_add_layer_norm(
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

    fn fused_sum_and_layer_norm(
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

    fn fused_layer_norm_input_gradient(
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
                |scaled, (dx, (x, dy))| input_gradient(x, gamma, dy, epsilon as f32, scaled, dx),
            );
        tensor(output, x.shape())
    }

    fn fused_layer_norm_parameter_gradients(
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
                parameter_gradients(x, dy, epsilon as f32, &mut centred, dgamma, dbeta);
                sums
            })
            .collect::<Vec<_>>();
        let mut dgamma = total(&parts, 2 * units);
        let dbeta = dgamma.split_off(units);
        let shape = Shape::from([units]);
        (tensor(dgamma, shape.clone()), tensor(dbeta, shape))
    }
}

/// What the backward pass needs: the normalised values' origin, gamma and epsilon.
type Saved<B> = (FloatTensor<B>, FloatTensor<B>, f64);

/// Computes and registers the gradients for the tracked ones of gamma and beta, and returns that of the
/// input if it is asked for.
macro_rules! differentiate {
    ($B:ty, $gradients:ident, $state:expr, $gradient:ident, $gamma:ident, $beta:ident, $input:expr) => {{
        let (x, gamma, epsilon) = $state;
        if $gamma.is_some() || $beta.is_some() {
            let (dgamma, dbeta) =
                <$B>::fused_layer_norm_parameter_gradients(x.clone(), $gradient.clone(), epsilon);
            if let Some(node) = $gamma {
                $gradients.register::<$B>(node.id, dgamma);
            }
            if let Some(node) = $beta {
                $gradients.register::<$B>(node.id, dbeta);
            }
        }
        $input.then(|| <$B>::fused_layer_norm_input_gradient(x, gamma, $gradient, epsilon))
    }};
}

impl<B: LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct LayerNorm;

        impl<B: LayerNormOps> Backward<B, 3> for LayerNorm {
            type State = Saved<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [x, gamma, beta] = ops.parents;
                let dx =
                    differentiate!(B, gradients, ops.state, gradient, gamma, beta, x.is_some());
                if let (Some(node), Some(dx)) = (x, dx) {
                    gradients.register::<B>(node.id, dx);
                }
            }
        }

        let prepared = LayerNorm.prepare::<C>([x.node(), gamma.node(), beta.node()]);
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        let beta = beta.into_primitive();
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let saved = (x.clone(), gamma.clone(), epsilon);
                prepared.finish(saved, B::fused_layer_norm(x, gamma, beta, epsilon))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_layer_norm(x, gamma, beta, epsilon))
            }
        }
    }

    fn fused_add_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct AddLayerNorm;

        impl<B: LayerNormOps> Backward<B, 4> for AddLayerNorm {
            type State = Saved<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 4>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [x, residual, gamma, beta] = ops.parents;
                let needed = x.is_some() || residual.is_some();
                let dx = differentiate!(B, gradients, ops.state, gradient, gamma, beta, needed);
                for node in [x, residual].into_iter().flatten() {
                    let dx = dx.clone().expect("computed, as one of the two is tracked");
                    gradients.register::<B>(node.id, dx);
                }
            }
        }

        let nodes = [x.node(), residual.node(), gamma.node(), beta.node()];
        let prepared = AddLayerNorm.prepare::<C>(nodes);
        let (x, residual) = (x.into_primitive(), residual.into_primitive());
        let (gamma, beta) = (gamma.into_primitive(), beta.into_primitive());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let kept = gamma.clone();
                let (y, sum) = B::fused_sum_and_layer_norm(x, residual, gamma, beta, epsilon);
                prepared.finish((sum, kept, epsilon), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_add_layer_norm(x, residual, gamma, beta, epsilon))
            }
        }
    }

    fn fused_sum_and_layer_norm(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("only called on the inner backend")
    }

    fn fused_layer_norm_input_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
    ) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }

    fn fused_layer_norm_parameter_gradients(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }
}

multiversion! { fn add(x: &[f32], y: &[f32], out: &mut [f32]) = add_body }
multiversion! {
    /// Normalises each row of `x`.
    fn normalise(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, y: &mut [f32])
        = normalise_body
}
multiversion! {
    /// The gradient of each row of `x`; `scaled` is scratch of one row.
    fn input_gradient(
        x: &[f32], gamma: &[f32], dy: &[f32], epsilon: f32, scaled: &mut [f32], dx: &mut [f32],
    ) = input_gradient_body
}
multiversion! {
    /// Adds the rows' shares to the gradients of gamma and beta; `centred` is scratch of one row.
    fn parameter_gradients(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, close, host, leaf, numeric_gradient, plain, same, values, wide};
    use proptest::prelude::*;

    const EPSILON: f64 = 1e-5;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn values_and_gradients_agree_with_the_reference(
            rows in 1usize..20, units in 2usize..70, seed: u64,
            residual: bool, tracked in 0usize..3,
        ) {
            let n = rows * units;
            let x = values(seed, n, 2.0);
            let r = values(seed ^ 1, n, if residual { 2.0 } else { 0.0 });
            let gamma = values(seed ^ 2, units, 1.5);
            let beta = values(seed ^ 3, units, 1.0);
            let g = values(seed ^ 4, n, 1.0);
            // Input only (frozen norm), parameters only (lowest layer), or both.
            let (inputs, parameters) = (tracked != 1, tracked != 0);
            let tensor2 = |v: &[f32]| if inputs { leaf(v, [rows, units]) } else { plain(v, [rows, units]).autodiff() };
            let tensor1 = |v: &[f32]| if parameters { leaf(v, [units]) } else { plain(v, [units]).autodiff() };
            let (tx, tr, tg, tb) = (tensor2(&x), tensor2(&r), tensor1(&gamma), tensor1(&beta));
            let y = if residual {
                add_layer_norm(tx.clone(), tr.clone(), tg.clone(), tb.clone(), EPSILON)
            } else {
                layer_norm(tx.clone(), tg.clone(), tb.clone(), EPSILON)
            };
            let total: Vec<f64> = x.iter().zip(&r).map(|(&x, &r)| f64::from(x + r)).collect();
            let (gamma, beta) = (wide(&gamma), wide(&beta));
            let norm = |x: &[f64], gamma: &[f64], beta: &[f64]| reference::layer_norm(x, gamma, beta, EPSILON);
            close(&y, &norm(&total, &gamma, &beta), 2e-5);

            let gradients = (y * plain(&g, [rows, units]).autodiff()).sum().backward();
            prop_assert_eq!(tx.grad(&gradients).is_some(), inputs);
            prop_assert_eq!(tg.grad(&gradients).is_some(), parameters);
            prop_assert_eq!(tb.grad(&gradients).is_some(), parameters);
            if inputs {
                // Two units normalise to plus and minus one whatever they are: their gradient divides
                // a difference that is nearly nothing by their distance.
                let dx = numeric_gradient(&total, &g, |x| norm(x, &gamma, &beta));
                let tolerance = if units < 4 { 1e-1 } else { 1e-3 };
                close(&tx.grad(&gradients).unwrap(), &dx, tolerance);
                if residual {
                    close(&tr.grad(&gradients).unwrap(), &host(&tx.grad(&gradients).unwrap()), 0.0);
                }
            }
            if parameters {
                let dgamma = numeric_gradient(&gamma, &g, |gamma| norm(&total, gamma, &beta));
                let dbeta = numeric_gradient(&beta, &g, |beta| norm(&total, &gamma, beta));
                close(&tg.grad(&gradients).unwrap(), &dgamma, 1e-4);
                close(&tb.grad(&gradients).unwrap(), &dbeta, 1e-4);
            }
        }
    }

    #[test]
    fn values_are_those_of_pytorch() {
        // torch 2.15, torch.nn.functional.layer_norm in float64 and its autograd of sum(y * [1, 2, 3, 4]).
        let x = leaf::<2>(&[0.5, -1.0, 2.0, 4.0], [1, 4]);
        let gamma = leaf(&[1.0, 0.5, -2.0, 1.5], [4]);
        let beta = leaf(&[0.0, 0.1, 0.2, 0.3], [4]);
        let y = layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-12);
        close(
            &y,
            &[
                -0.4730161648795711,
                -0.5419505094794179,
                -0.4757373783993872,
                2.4285727419580696,
            ],
            1e-6,
        );
        let weights = plain(&[1.0, 2.0, 3.0, 4.0], [1, 4]).autodiff();
        let gradients = (y * weights).sum().backward();
        close(
            &x.grad(&gradients).unwrap(),
            &[
                0.5726797142963787,
                1.091053593616305,
                -3.729823484060116,
                2.0660901761474326,
            ],
            2e-6,
        );
        close(
            &gamma.grad(&gradients).unwrap(),
            &[
                -0.4730161648795711,
                -2.5678020379176716,
                1.0136060675990808,
                5.676193978554853,
            ],
            2e-6,
        );
        close(&beta.grad(&gradients).unwrap(), &[1.0, 2.0, 3.0, 4.0], 0.0);
    }

    #[test]
    fn fused_and_composed_agree_on_views_of_rank_three() {
        let x: Tensor<3> = plain(&values(1, 60, 2.0), [4, 3, 5]).swap_dims(1, 2);
        let gamma: Tensor<1> = plain(&values(2, 3, 1.0), [3]);
        let beta: Tensor<1> = plain(&values(3, 3, 1.0), [3]);
        let expected = composed(x.clone() + x.clone(), gamma.clone(), beta.clone(), EPSILON);
        let actual = add_layer_norm(x.clone(), x, gamma, beta, EPSILON);
        close(&actual, &host(&expected), 1e-5);
    }

    #[test]
    fn a_constant_row_becomes_beta() {
        let x: Tensor<2> = plain(&[3.0; 8], [1, 8]);
        let y = layer_norm(x, plain(&[2.0; 8], [8]), plain(&[0.5; 8], [8]), EPSILON);
        assert_eq!(host(&y), [0.5; 8]);
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let x = values(1, 700 * 33, 2.0);
        same(|| {
            let gamma = leaf::<1>(&values(2, 33, 1.0), [33]);
            let x = leaf::<2>(&x, [700, 33]);
            let y = add_layer_norm(x.clone(), x.clone(), gamma.clone(), gamma.clone(), EPSILON);
            let gradients = (y.clone() * y.clone()).sum().backward();
            let parts = [x.grad(&gradients).unwrap(), y.inner()];
            let dgamma = gamma.grad(&gradients).unwrap().unsqueeze();
            Tensor::cat(vec![parts[0].clone(), parts[1].clone(), dgamma], 0)
        });
    }
}
