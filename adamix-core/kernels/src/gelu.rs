//! The Gaussian error linear unit, exact and in its tanh approximation.

use crate::device::{is_fused, is_on};
use crate::flex::{CHUNK, slice, tensor, uninitialised};
use crate::math::{erfc, exp, fma};
use crate::simd::multiversion;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `x Φ(x)` with the normal distribution function `Φ` (BERT, RoBERTa), and its exact derivative.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_on("gelu") && is_fused(&x) {
        run(x, Form::Exact)
    } else {
        composed(x)
    }
}

/// `0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`, the approximation GPT-2 was trained with
/// (`gelu_new`), and its exact derivative.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_on("gelu") && is_fused(&x) {
        run(x, Form::Tanh)
    } else {
        composed_tanh(x)
    }
}

/// [`gelu`] from Burn's own operations. Burn's `activation::gelu` would not do: on some backends its
/// backward pass is the derivative of the tanh approximation.
pub(crate) fn composed<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let erf = x.clone().mul_scalar(FRAC_1_SQRT_2).erf();
    x * erf.add_scalar(1.0).mul_scalar(0.5)
}

/// [`gelu_tanh`] from Burn's own operations.
pub(crate) fn composed_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cube = x.clone() * x.clone() * x.clone();
    let inner = (x.clone() + cube.mul_scalar(0.044715)).mul_scalar((2.0 / PI).sqrt());
    x * inner.tanh().add_scalar(1.0).mul_scalar(0.5)
}

fn run<const D: usize>(x: Tensor<D>, form: Form) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GeluOps>::fused_gelu(x.into_dispatch(), form))
}

/// Which of the two functions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Exact,
    Tanh,
}

impl Form {
    /// The function of some values, on the calling thread.
    pub(crate) fn apply(self, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Exact => exact(x, y),
            Self::Tanh => tanh(x, y),
        }
    }

    /// Puts the gradients of some values in their place; `dy` are those of the function.
    pub(crate) fn gradient_onto(self, x: &mut [f32], dy: &[f32]) {
        match self {
            Self::Exact => exact_gradient_onto(x, dy),
            Self::Tanh => tanh_gradient_onto(x, dy),
        }
    }
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait GeluOps: Backend {
    fn fused_gelu(x: FloatTensor<Self>, form: Form) -> FloatTensor<Self>;
    fn fused_gelu_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
}

impl GeluOps for Flex {
    fn fused_gelu(x: FlexTensor, form: Form) -> FlexTensor {
        let x = x.to_contiguous();
        let input = slice(&x);
        // SAFETY: the chunks cover the buffer, and the kernels assign every element of a chunk.
        let mut output = unsafe { uninitialised(input.len()) };
        output
            .par_chunks_mut(CHUNK)
            .zip(input.par_chunks(CHUNK))
            .for_each(|(y, x)| form.apply(x, y));
        tensor(output, x.shape())
    }

    fn fused_gelu_gradient(x: FlexTensor, gradient: FlexTensor, form: Form) -> FlexTensor {
        let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
        let (input, upstream) = (slice(&x), slice(&gradient));
        // SAFETY: the chunks cover the buffer, and the kernels assign every element of a chunk.
        let mut output = unsafe { uninitialised(input.len()) };
        output
            .par_chunks_mut(CHUNK)
            .zip(input.par_chunks(CHUNK).zip(upstream.par_chunks(CHUNK)))
            .for_each(|(dx, (x, dy))| match form {
                Form::Exact => exact_gradient(x, dy, dx),
                Form::Tanh => tanh_gradient(x, dy, dx),
            });
        tensor(output, x.shape())
    }
}

impl<B: GeluOps, C: CheckpointStrategy> GeluOps for Autodiff<B, C> {
    fn fused_gelu(x: FloatTensor<Self>, form: Form) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Gelu;

        impl<B: GeluOps> Backward<B, 1> for Gelu {
            type State = (FloatTensor<B>, Form);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let ([parent], (x, form)) = (ops.parents, ops.state);
                if let Some(node) = parent {
                    gradients.register::<B>(node.id, B::fused_gelu_gradient(x, gradient, form));
                }
            }
        }

        match Gelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let x = x.into_primitive();
                prepared.finish((x.clone(), form), B::fused_gelu(x, form))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_gelu(x.into_primitive(), form))
            }
        }
    }

    fn fused_gelu_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Form,
    ) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }
}

const SQRT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// The normal density at zero, `1 / sqrt(2π)`.
const DENSITY: f32 = 0.398_942_3;
/// `2 sqrt(2/π)`: `0.5 (1 + tanh u)` is the logistic function of `2u`.
const SLOPE: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

multiversion! { fn exact(x: &[f32], y: &mut [f32]) = exact_body }
multiversion! { fn exact_gradient(x: &[f32], dy: &[f32], dx: &mut [f32]) = exact_gradient_body }
multiversion! { fn exact_gradient_onto(x: &mut [f32], dy: &[f32]) = exact_gradient_onto_body }
multiversion! { fn tanh(x: &[f32], y: &mut [f32]) = tanh_body }
multiversion! { fn tanh_gradient(x: &[f32], dy: &[f32], dx: &mut [f32]) = tanh_gradient_body }
multiversion! { fn tanh_gradient_onto(x: &mut [f32], dy: &[f32]) = tanh_gradient_onto_body }

#[inline(always)]
fn exact_body<const FMA: bool>(x: &[f32], y: &mut [f32]) {
    for (&x, y) in x.iter().zip(y) {
        // Both signs from the upper tail, so that the lower one keeps its relative accuracy.
        let (upper, _) = erfc::<FMA>(x.abs() * SQRT_HALF);
        let tail = 0.5 * x * upper;
        *y = if x < 0.0 { tail } else { x - tail };
    }
}

#[inline(always)]
fn exact_slope<const FMA: bool>(x: f32) -> f32 {
    let (upper, gauss) = erfc::<FMA>(x.abs() * SQRT_HALF);
    let tail = 0.5 * upper;
    let distribution = if x < 0.0 { tail } else { 1.0 - tail };
    fma::<FMA>(x * DENSITY, gauss, distribution)
}

#[inline(always)]
fn exact_gradient_body<const FMA: bool>(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    for ((&x, &dy), dx) in x.iter().zip(dy).zip(dx) {
        *dx = dy * exact_slope::<FMA>(x);
    }
}

#[inline(always)]
fn exact_gradient_onto_body<const FMA: bool>(x: &mut [f32], dy: &[f32]) {
    for (x, &dy) in x.iter_mut().zip(dy) {
        *x = dy * exact_slope::<FMA>(*x);
    }
}

#[inline(always)]
fn tanh_body<const FMA: bool>(x: &[f32], y: &mut [f32]) {
    for (&x, y) in x.iter().zip(y) {
        let u = SLOPE * fma::<FMA>(CUBIC * x * x, x, x);
        *y = x / (1.0 + exp::<FMA>(-u));
    }
}

#[inline(always)]
fn tanh_slope<const FMA: bool>(x: f32) -> f32 {
    let u = SLOPE * fma::<FMA>(CUBIC * x * x, x, x);
    let logistic = 1.0 / (1.0 + exp::<FMA>(-u));
    let du = SLOPE * fma::<FMA>(3.0 * CUBIC * x, x, 1.0);
    fma::<FMA>(x * logistic * (1.0 - logistic), du, logistic)
}

#[inline(always)]
fn tanh_gradient_body<const FMA: bool>(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    for ((&x, &dy), dx) in x.iter().zip(dy).zip(dx) {
        *dx = dy * tanh_slope::<FMA>(x);
    }
}

#[inline(always)]
fn tanh_gradient_onto_body<const FMA: bool>(x: &mut [f32], dy: &[f32]) {
    for (x, &dy) in x.iter_mut().zip(dy) {
        *x = dy * tanh_slope::<FMA>(*x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, close, host, leaf, plain, same, values};
    use proptest::prelude::*;

    const EXACT: [f64; 8] = [
        -0.00012668496733247991,
        -0.024665455645187417,
        -0.16937455627736941,
        -0.04601721689885652,
        0.0,
        0.26216870142877213,
        1.8454385102200292,
        5.999999994080474,
    ];
    const EXACT_GRADIENT: [f64; 8] = [
        -0.0005036496612264215,
        -0.05442808122793638,
        0.02338590448709915,
        0.4204769067981741,
        0.5,
        0.802729801770566,
        1.0959534907745725,
        1.0000000354687093,
    ];
    const TANH: [f64; 8] = [
        -7.024594819227126e-05,
        -0.024327032422783043,
        -0.16942986501303928,
        -0.0460172495811262,
        0.0,
        0.2621611742115757,
        1.8454512083060164,
        5.9999999999156035,
    ];
    const TANH_GRADIENT: [f64; 8] = [
        -0.00033512319712218684,
        -0.05508933405855565,
        0.023642786957019518,
        0.4204782095512054,
        0.5,
        0.8026588384566762,
        1.0967818106024814,
        1.0000000007709977,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn both_forms_agree_with_the_reference(rows in 1usize..70, units in 1usize..70, seed: u64) {
            let n = rows * units;
            let (x, g) = (values(seed, n, 8.0), values(seed ^ 1, n, 1.0));
            for (fused, reference, derivative, tolerance) in [
                (gelu as fn(Tensor<2>) -> Tensor<2>, reference::gelu as fn(f64) -> f64,
                    reference::gelu_derivative as fn(f64) -> f64, 1e-6),
                (gelu_tanh, reference::gelu_tanh, reference::gelu_tanh_derivative, 3e-6),
            ] {
                let x_leaf = leaf(&x, [rows, units]);
                let y = fused(x_leaf.clone());
                close(&y, &x.iter().map(|&x| reference(x.into())).collect::<Vec<_>>(), 1e-6);
                let gradients = (y * plain(&g, [rows, units])).sum().backward();
                let expected: Vec<f64> = x.iter().zip(&g)
                    .map(|(&x, &g)| derivative(x.into()) * f64::from(g)).collect();
                close(&x_leaf.grad(&gradients).unwrap(), &expected, tolerance);
            }
        }
    }

    #[test]
    fn values_are_those_of_pytorch() {
        // torch 2.15, torch.nn.functional.gelu in float64 and its autograd.
        let x = [-4.0, -2.3, -0.7, -0.1, 0.0, 0.4, 1.9, 6.0];
        for (form, expected, gradient) in [
            (Form::Exact, EXACT, EXACT_GRADIENT),
            (Form::Tanh, TANH, TANH_GRADIENT),
        ] {
            let x = leaf::<1>(&x, [8]);
            let y = run(x.clone(), form);
            close(&y, &expected, 3e-7);
            close(&x.grad(&y.sum().backward()).unwrap(), &gradient, 3e-7);
        }
    }

    #[test]
    fn fused_and_composed_agree_on_views() {
        let x: Tensor<2> = plain(&values(5, 35, 3.0), [5, 7]).swap_dims(0, 1);
        close(&gelu(x.clone()), &host(&composed(x.clone())), 1e-6);
        close(&gelu_tanh(x.clone()), &host(&composed_tanh(x)), 1e-6);
    }

    #[test]
    fn extreme_values_stay_finite() {
        let x: Tensor<1> = plain(&[-1e30, -200.0, -14.0, 14.0, 200.0, 1e30], [6]);
        for y in [gelu(x.clone()), gelu_tanh(x.clone())] {
            let y = host(&y);
            assert!(y[..3].iter().all(|y| y.abs() < 1e-6), "{y:?}");
            assert_eq!(y[3..], host(&x)[3..]);
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let x: Tensor<1> = plain(&values(9, 100_000, 4.0), [100_000]);
        same(|| gelu(x.clone()));
    }
}
