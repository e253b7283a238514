//! `y = x W + b`, with nothing saved and nothing computed for frozen parameters.

use crate::columns::column_sums;
use crate::device::{is_fused, is_fused_weight, is_on};
use crate::few_rows;
use crate::flex::{matrix, rows, slice, tensor, uninitialised};
use crate::gemm::{Element, Matrix, Start, multiply};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_flex::FlexTensor;
use half::bf16;

/// Multiplies the last dimension of `x` by a weight and adds a bias.
///
/// The leading dimensions are flattened: one large product instead of one per batch element. Each of
/// the three gradients is computed only if its tensor is tracked; `x` is kept for the backward pass
/// only if the weight is tracked. A frozen weight may be stored in `bf16`, for half the memory: it is widened as
/// it is read (or multiplied as it is by a processor that can, which rounds `x` too), and sums are in 32 bits.
///
/// # Shapes
/// - `x`: `[..., in]`, `weight`: `[in, out]` (a transposed view will do), `bias`: `[out]`
/// - result: `[..., out]`
///
/// # Panics
/// If the shapes do not fit.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [input, output] = weight.dims();
    assert_eq!(
        x.dims()[D - 1],
        input,
        "linear: last dimension of x and rows of the weight"
    );
    if let Some(bias) = &bias {
        assert_eq!(
            bias.dims(),
            [output],
            "linear: bias and columns of the weight"
        );
    }
    if !(is_on("linear")
        && is_fused(&x)
        && is_fused_weight(&weight)
        && bias.as_ref().is_none_or(is_fused))
    {
        return composed(x, weight, bias);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::fused_linear_bias(x, weight, bias.into_dispatch()),
        None => Dispatch::fused_linear(x, weight),
    })
}

/// The same from Burn's own operations.
pub(crate) fn composed<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let mut dims = x.dims();
    let [input, output] = weight.dims();
    let rows = dims[..D - 1].iter().product::<usize>();
    dims[D - 1] = output;
    let weight = match weight.dtype() == x.dtype() {
        true => weight,
        false => weight.cast(x.dtype()),
    };
    let mut y = x.reshape([rows, input]).matmul(weight);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    y.reshape(dims)
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait LinearOps: Backend {
    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `g Wᵀ`.
    fn fused_linear_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `xᵀ g`.
    fn fused_linear_weight_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// The sum of the rows of `g`.
    fn fused_linear_bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl LinearOps for Flex {
    fn fused_linear(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        product(x, weight, None, Side::Right)
    }

    fn fused_linear_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let bias = bias.to_contiguous();
        product(x, weight, Some(slice(&bias)), Side::Right)
    }

    fn fused_linear_input_gradient(weight: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        product(gradient, weight, None, Side::Transposed)
    }

    fn fused_linear_weight_gradient(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
        let ((count, input), (_, output)) = (rows(&x), rows(&gradient));
        // SAFETY: the product assigns every element.
        let mut buffer = unsafe { uninitialised(input * output) };
        multiply(
            &mut buffer,
            Matrix::new(slice(&x), count, input).transposed(),
            Matrix::new(slice(&gradient), count, output),
            Start::Zero,
        );
        tensor(buffer, Shape::from([input, output]))
    }

    fn fused_linear_bias_gradient(gradient: FlexTensor) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        let (_, output) = rows(&gradient);
        tensor(column_sums(slice(&gradient), output), Shape::from([output]))
    }
}

/// How the weight stands in a product.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Right,
    Transposed,
}

impl Side {
    pub(crate) fn of<E: Element>(self, weight: Matrix<'_, E>) -> Matrix<'_, E> {
        match self {
            Self::Right => weight,
            Self::Transposed => weight.transposed(),
        }
    }
}

/// `x W` or `x Wᵀ` over the last dimension, plus a bias.
pub(crate) fn product(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<&[f32]>,
    side: Side,
) -> FlexTensor {
    let x = x.to_contiguous();
    let weight = match weight.layout().strides().iter().all(|stride| *stride >= 0) {
        true => weight,
        false => weight.to_contiguous(),
    };
    let (count, input) = rows(&x);
    let mut shape = x.shape();
    let last = shape.num_dims() - 1;
    shape[last] = weight.shape()[match side {
        Side::Right => 1,
        Side::Transposed => 0,
    }];
    // SAFETY: the product assigns every element.
    let mut buffer = unsafe { uninitialised(count * shape[last]) };
    let left = Matrix::new(slice(&x), count, input);
    let start = bias.map_or(Start::Zero, Start::Bias);
    if weight.dtype() == DType::BF16 {
        let weight = matrix(&weight, weight.storage::<bf16>());
        multiply(&mut buffer, left, side.of(weight), start);
    } else {
        let weight = side.of(matrix(&weight, weight.storage::<f32>()));
        match few_rows::serves(count, &weight) {
            true => few_rows::multiply(&mut buffer, slice(&x), weight, bias),
            false => multiply(&mut buffer, left, weight, start),
        }
    }
    tensor(buffer, shape)
}

/// What the backward pass needs: `x` for the weight's gradient, the weight for that of `x`.
type Saved<B> = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);

/// Registers the gradients of `x` and the weight for those that are tracked.
macro_rules! register_products {
    ($B:ty, $gradients:ident, $state:expr, $gradient:ident, $x:ident, $weight:ident) => {{
        let (saved_x, saved_weight) = $state;
        if let (Some(node), Some(weight)) = ($x, saved_weight) {
            let dx = <$B>::fused_linear_input_gradient(weight, $gradient.clone());
            $gradients.register::<$B>(node.id, dx);
        }
        if let (Some(node), Some(x)) = ($weight, saved_x) {
            let dw = <$B>::fused_linear_weight_gradient(x, $gradient.clone());
            $gradients.register::<$B>(node.id, dw);
        }
    }};
}

impl<B: LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Linear;

        impl<B: LinearOps> Backward<B, 2> for Linear {
            type State = Saved<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [x, weight] = ops.parents;
                register_products!(B, gradients, ops.state, gradient, x, weight);
            }
        }

        let saved = saved::<B, C>(&x, &weight);
        let prepared = Linear.prepare::<C>([x.node(), weight.node()]);
        let output = B::fused_linear(x.into_primitive(), weight.into_primitive());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(saved, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn fused_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Linear;

        impl<B: LinearOps> Backward<B, 3> for Linear {
            type State = Saved<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [x, weight, bias] = ops.parents;
                register_products!(B, gradients, ops.state, gradient, x, weight);
                if let Some(node) = bias {
                    let db = B::fused_linear_bias_gradient(gradient);
                    gradients.register::<B>(node.id, db);
                }
            }
        }

        let saved = saved::<B, C>(&x, &weight);
        let prepared = Linear.prepare::<C>([x.node(), weight.node(), bias.node()]);
        let output = B::fused_linear_bias(
            x.into_primitive(),
            weight.into_primitive(),
            bias.into_primitive(),
        );
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(saved, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn fused_linear_input_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }

    fn fused_linear_weight_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }

    fn fused_linear_bias_gradient(_: FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }
}

/// Keeps only what a tracked input will ask for.
fn saved<B: Backend, C: CheckpointStrategy>(
    x: &FloatTensor<Autodiff<B, C>>,
    weight: &FloatTensor<Autodiff<B, C>>,
) -> Saved<B> {
    (
        weight.is_tracked().then(|| x.primitive().clone()),
        x.is_tracked().then(|| weight.primitive().clone()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{close, host, leaf, matrix_product, plain, same, values, wide};
    use proptest::prelude::*;

    fn transposed(x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
        (0..rows * columns)
            .map(|i| x[i % rows * columns + i / rows])
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn values_and_gradients_agree_with_the_reference(
            batch in 1usize..5, tokens in 1usize..20, input in 1usize..70, output in 1usize..70,
            with_bias: bool, frozen: bool, seed: u64,
        ) {
            let rows = batch * tokens;
            let x = values(seed, rows * input, 1.0);
            let w = values(seed ^ 1, input * output, 1.0);
            let b = values(seed ^ 2, output, 1.0);
            let g = values(seed ^ 3, rows * output, 1.0);
            let tx = leaf(&x, [batch, tokens, input]);
            let (tw, tb) = if frozen {
                // Frozen parameters of a model on an autodiff device, and of one outside it.
                (plain(&w, [input, output]).autodiff(), plain(&b, [output]))
            } else {
                (leaf(&w, [input, output]), leaf(&b, [output]))
            };
            let y = linear(tx.clone(), tw.clone(), with_bias.then(|| tb.clone()));
            let mut expected = matrix_product(&wide(&x), &wide(&w), [rows, input, output]);
            if with_bias {
                expected.iter_mut().enumerate().for_each(|(i, y)| *y += f64::from(b[i % output]));
            }
            close(&y, &expected, 1e-5);

            let gradients = (y * plain(&g, [batch, tokens, output]).autodiff()).sum().backward();
            let wt = transposed(&wide(&w), input, output);
            let dx = matrix_product(&wide(&g), &wt, [rows, output, input]);
            close(&tx.grad(&gradients).unwrap(), &dx, 1e-5);
            if frozen {
                prop_assert!(tw.grad(&gradients).is_none());
                prop_assert!(tb.grad(&gradients).is_none());
            } else {
                let xt = transposed(&wide(&x), rows, input);
                let dw = matrix_product(&xt, &wide(&g), [input, rows, output]);
                close(&tw.grad(&gradients).unwrap(), &dw, 1e-5);
                prop_assert_eq!(tb.grad(&gradients).is_some(), with_bias);
                if let Some(db) = tb.grad(&gradients) {
                    let sums = (0..output)
                        .map(|j| (0..rows).map(|i| f64::from(g[i * output + j])).sum())
                        .collect::<Vec<f64>>();
                    close(&db, &sums, 1e-5);
                }
            }
        }
    }

    #[test]
    fn an_untracked_product_is_outside_the_graph() {
        let x = plain::<2>(&values(1, 6, 1.0), [2, 3]).autodiff();
        let w = plain::<2>(&values(2, 12, 1.0), [3, 4]).autodiff();
        assert!(!linear(x.clone(), w, None).is_tracked());
        let w = leaf(&values(2, 12, 1.0), [3, 4]);
        let y = linear(x.clone(), w.clone(), None);
        let gradients = y.sum().backward();
        assert!(w.grad(&gradients).is_some() && x.grad(&gradients).is_none());
    }

    #[test]
    fn views_are_read_in_place() {
        let x: Tensor<2> = plain(&values(1, 15, 1.0), [3, 5]).swap_dims(0, 1);
        let w: Tensor<2> = plain(&values(2, 12, 1.0), [4, 3]).swap_dims(0, 1);
        let expected = host(&composed(x.clone(), w.clone(), None));
        close(&linear(x.clone(), w.clone(), None), &expected, 1e-6);
        let flipped = w.flip([0]);
        let expected = host(&composed(x.clone(), flipped.clone(), None));
        close(&linear(x, flipped, None), &expected, 1e-6);
    }

    #[test]
    fn a_frozen_weight_in_half_precision_is_the_rounded_one() {
        let rows = 40;
        let (x, w) = (values(1, rows * 30, 1.0), values(2, 30 * 50, 1.0));
        let (b, g) = (values(3, 50, 1.0), values(4, rows * 50, 1.0));
        let half = plain::<2>(&w, [30, 50]).cast(DType::BF16);
        let outcome = |weight: Tensor<2>| {
            let x = leaf(&x, [rows, 30]);
            let y = linear(x.clone(), weight.autodiff(), Some(plain(&b, [50])));
            let gradients = (y.clone() * plain(&g, [rows, 50]).autodiff())
                .sum()
                .backward();
            (host(&y), host(&x.grad(&gradients).unwrap()))
        };
        let (y, dx) = outcome(half.clone());
        let expected = outcome(half.clone().cast(DType::F32));
        // Processors that multiply bf16 round the left side too: to 8 bits, in sums of 30 and 50.
        for (found, expected) in y.iter().zip(&expected.0).chain(dx.iter().zip(&expected.1)) {
            assert!(
                (found - expected).abs() < 0.05,
                "{found} instead of {expected}"
            );
        }
        let double = plain::<2>(&x, [rows, 30]).cast(DType::F64);
        close(
            &linear(double, half, None).cast(DType::F32),
            &{
                let bias = |i: usize| f64::from(b[i % 50]);
                expected
                    .0
                    .iter()
                    .enumerate()
                    .map(|(i, y)| y - bias(i))
                    .collect::<Vec<_>>()
            },
            1e-5,
        );
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        for [rows, input, output] in [
            [512, 96, 384],
            [300, 384, 16],
            [1, 700, 900],
            [8, 700, 900],
            [70, 70, 70],
        ] {
            let x: Tensor<2> = plain(&values(1, rows * input, 1.0), [rows, input]);
            let w: Tensor<2> = plain(&values(2, input * output, 1.0), [input, output]);
            let g: Tensor<2> = plain(&values(3, rows * output, 1.0), [rows, output]);
            let b: Tensor<1> = plain(&values(4, output, 1.0), [output]);
            same(|| linear(x.clone(), w.clone(), Some(b.clone())));
            let gradient = |of_weight: bool| {
                let x = x.clone().autodiff().require_grad();
                let w = w.clone().autodiff().require_grad();
                let y = linear(x.clone(), w.clone(), None);
                let gradients = (y * g.clone().autodiff()).sum().backward();
                if of_weight {
                    w.grad(&gradients)
                } else {
                    x.grad(&gradients)
                }
                .unwrap()
            };
            same(|| gradient(true));
            same(|| gradient(false));
        }
    }
}
