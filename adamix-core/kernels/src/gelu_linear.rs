//! `gelu(x) W + b` with a frozen map: what GELU gives, and what its gradient is made of, is never whole in memory.

use crate::device::{is_fused, is_fused_weight, is_on};
use crate::few_rows;
use crate::flex::{matrix, rows, slice, tensor, uninitialised};
use crate::gelu::{Form, GeluOps, gelu, gelu_tanh};
use crate::gemm::{Around, Matrix, Start, is_whole, multiply_around};
use crate::linear::{Side, linear, product};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;

/// [`linear`] of [`gelu`], the end of BERT's feed-forward block: the same numbers. Where the map is frozen, each task makes
/// GELU of its rows as it comes to them, and puts its gradients in the place of what GELU read.
///
/// # Shapes
/// - `x`: `[..., in]`, `weight`: `[in, out]` (a transposed view will do), `bias`: `[out]`
/// - result: `[..., out]`
///
/// # Panics
/// If the shapes do not fit.
pub fn gelu_linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    match is_served(&x, &weight, &bias) {
        true => run(x, weight, bias, Form::Exact),
        false => linear(gelu(x), weight, Some(bias)),
    }
}

/// [`gelu_linear`] with the tanh approximation, as in GPT-2.
///
/// # Panics
/// If the shapes do not fit.
pub fn gelu_tanh_linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<D> {
    match is_served(&x, &weight, &bias) {
        true => run(x, weight, bias, Form::Tanh),
        false => linear(gelu_tanh(x), weight, Some(bias)),
    }
}

/// Whether the fused form has these operands. Shapes that do not fit are left to [`linear`].
fn is_served<const D: usize>(x: &Tensor<D>, weight: &Tensor<2>, bias: &Tensor<1>) -> bool {
    let fits = x.dims()[D - 1] == weight.dims()[0] && bias.dims()[0] == weight.dims()[1];
    let is_frozen = !weight.is_tracked() && !bias.is_tracked();
    let is_on = ["gelu", "linear", "gelu-linear"].into_iter().all(is_on);
    is_on && fits && is_frozen && is_fused(x) && is_fused_weight(weight) && is_fused(bias)
}

fn run<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>, form: Form) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu_linear(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        form,
    ))
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait GeluLinearOps: Backend {
    fn fused_gelu_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
    fn fused_gelu_linear_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
}

impl GeluLinearOps for Flex {
    fn fused_gelu_linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        form: Form,
    ) -> FlexTensor {
        let bias = bias.to_contiguous();
        let (count, input) = rows(&x);
        let output = weight.shape()[1];
        if !runs_by_rows(count, &weight, Side::Right) {
            return product(
                Self::fused_gelu(x, form),
                weight,
                Some(slice(&bias)),
                Side::Right,
            );
        }
        let x = x.to_contiguous();
        let mut shape = x.shape();
        let last = shape.num_dims() - 1;
        shape[last] = output;
        // SAFETY: the product assigns every element.
        let mut buffer = unsafe { uninitialised(count * output) };
        let left = Matrix::new(slice(&x), count, input);
        let start = Start::Bias(slice(&bias));
        let apply = |x: &[f32], y: &mut [f32]| form.apply(x, y);
        around(
            &mut buffer,
            left,
            &weight,
            Side::Right,
            start,
            Around::Before(&apply),
        );
        tensor(buffer, shape)
    }

    fn fused_gelu_linear_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        form: Form,
    ) -> FlexTensor {
        let (count, output) = rows(&gradient);
        if !runs_by_rows(count, &weight, Side::Transposed) {
            let gradient = product(gradient, weight, None, Side::Transposed);
            return Self::fused_gelu_gradient(x, gradient, form);
        }
        let gradient = gradient.to_contiguous();
        let shape = x.shape();
        let (start, length) = (x.layout().start_offset(), shape.num_elements());
        let is_whole = start == 0 && x.is_contiguous() && x.storage::<f32>().len() == length;
        // Not cloned, or someone else would still read it.
        let mut x = match is_whole {
            true => x,
            false => tensor(slice(&x.to_contiguous()).to_vec(), shape),
        };
        let upstream = Matrix::new(slice(&gradient), count, output);
        let put = |x: &mut [f32], dy: &[f32]| form.gradient_onto(x, dy);
        // In the place of x, or of a copy if it is read elsewhere.
        let place = x.storage_mut::<f32>();
        around(
            place,
            upstream,
            &weight,
            Side::Transposed,
            Start::Zero,
            Around::Onto(&put),
        );
        x
    }
}

/// Whether a product is one that tasks make by whole rows: not one of few rows, whose way is another, and packed in one
/// part.
fn runs_by_rows(count: usize, weight: &FlexTensor, side: Side) -> bool {
    if weight.layout().strides().iter().any(|stride| *stride < 0) {
        return false;
    }
    if weight.dtype() == DType::BF16 {
        return is_whole(&side.of(matrix(weight, weight.storage::<bf16>())));
    }
    let weight = side.of(matrix(weight, weight.storage::<f32>()));
    is_whole(&weight) && !few_rows::serves(count, &weight)
}

/// A product with a weight of either type.
fn around(
    out: &mut [f32],
    left: Matrix<'_>,
    weight: &FlexTensor,
    side: Side,
    start: Start<'_>,
    around: Around<'_>,
) {
    match weight.dtype() {
        DType::BF16 => {
            let weight = side.of(matrix(weight, weight.storage::<bf16>()));
            multiply_around(out, left, weight, start, around);
        }
        _ => {
            let weight = side.of(matrix(weight, weight.storage::<f32>()));
            multiply_around(out, left, weight, start, around);
        }
    }
}

impl<B: GeluLinearOps, C: CheckpointStrategy> GeluLinearOps for Autodiff<B, C> {
    fn fused_gelu_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct GeluLinear;

        impl<B: GeluLinearOps> Backward<B, 1> for GeluLinear {
            type State = (FloatTensor<B>, FloatTensor<B>, Form);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let ([parent], (x, weight, form)) = (ops.parents, ops.state);
                if let Some(node) = parent {
                    let dx = B::fused_gelu_linear_gradient(x, weight, gradient, form);
                    gradients.register::<B>(node.id, dx);
                }
            }
        }

        let (weight, bias) = (weight.into_primitive(), bias.into_primitive());
        match GeluLinear
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let x = x.into_primitive();
                let y = B::fused_gelu_linear(x.clone(), weight.clone(), bias, form);
                prepared.finish((x, weight, form), y)
            }
            OpsKind::UnTracked(prepared) => {
                let y = B::fused_gelu_linear(x.into_primitive(), weight, bias, form);
                prepared.finish(y)
            }
        }
    }

    fn fused_gelu_linear_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Form,
    ) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{host, leaf, plain, same, values};
    use proptest::prelude::*;

    /// The result and the gradient of `x`, of the fused form or of its two parts.
    fn outcome(
        [rows, input, output]: [usize; 3],
        seed: u64,
        weight: &Tensor<2>,
        form: Form,
        is_split: bool,
    ) -> [Vec<f64>; 2] {
        let x = leaf(&values(seed, rows * input, 3.0), [1, rows, input]);
        let bias = plain(&values(seed ^ 2, output, 1.0), [output]).autodiff();
        let g = plain(&values(seed ^ 3, rows * output, 1.0), [1, rows, output]);
        let weight = weight.clone().autodiff();
        let y = match (form, is_split) {
            (Form::Exact, false) => gelu_linear(x.clone(), weight, bias),
            (Form::Tanh, false) => gelu_tanh_linear(x.clone(), weight, bias),
            (Form::Exact, true) => linear(gelu(x.clone()), weight, Some(bias)),
            (Form::Tanh, true) => linear(gelu_tanh(x.clone()), weight, Some(bias)),
        };
        let gradients = (y.clone() * g.autodiff()).sum().backward();
        [host(&y), host(&x.grad(&gradients).unwrap())]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn it_is_the_map_of_gelu_to_the_last_bit(
            rows in 1usize..300, input in 1usize..90, output in 1usize..90, transposed: bool, halved: bool,
            exact: bool, seed: u64,
        ) {
            let form = if exact { Form::Exact } else { Form::Tanh };
            let weight = values(seed ^ 1, input * output, 1.0);
            let mut weight: Tensor<2> = match transposed {
                true => plain(&weight, [output, input]).swap_dims(0, 1),
                false => plain(&weight, [input, output]),
            };
            if halved {
                weight = weight.cast(DType::BF16);
            }
            let shape = [rows, input, output];
            let whole = outcome(shape, seed, &weight, form, false);
            prop_assert_eq!(whole, outcome(shape, seed, &weight, form, true));
        }
    }

    #[test]
    fn what_others_read_is_left_alone() {
        let x = leaf(&values(1, 100 * 40, 2.0), [1, 100, 40]);
        let inner = x.clone() * 2.0;
        let weight = plain::<2>(&values(2, 40 * 50, 1.0), [40, 50]).autodiff();
        let bias = plain::<1>(&values(3, 50, 1.0), [50]).autodiff();
        let held = host(&inner);
        let y = gelu_linear(inner.clone(), weight, bias);
        let gradients = y.sum().backward();
        assert!(x.grad(&gradients).is_some());
        assert_eq!(host(&inner), held);
    }

    #[test]
    fn a_map_that_is_trained_gets_its_gradients() {
        let x = leaf(&values(1, 100 * 40, 2.0), [1, 100, 40]);
        let weight = leaf(&values(2, 40 * 50, 1.0), [40, 50]);
        let bias = leaf(&values(3, 50, 1.0), [50]);
        let y = gelu_linear(x.clone(), weight.clone(), bias.clone());
        let gradients = y.sum().backward();
        assert!(weight.grad(&gradients).is_some() && bias.grad(&gradients).is_some());
        assert!(x.grad(&gradients).is_some());
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let x: Tensor<2> = plain(&values(1, 500 * 200, 2.0), [500, 200]);
        let weight: Tensor<2> = plain(&values(2, 200 * 70, 1.0), [200, 70]);
        let bias: Tensor<1> = plain(&values(3, 70, 1.0), [70]);
        same(|| gelu_linear(x.clone(), weight.clone(), bias.clone()));
        same(|| {
            let x = x.clone().autodiff().require_grad();
            let y = gelu_linear(
                x.clone(),
                weight.clone().autodiff(),
                bias.clone().autodiff(),
            );
            x.grad(&y.sum().backward()).unwrap()
        });
    }
}
