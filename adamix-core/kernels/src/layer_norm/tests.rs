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
