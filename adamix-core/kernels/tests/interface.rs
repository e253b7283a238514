//! The whole interface once, on small numbers worked out by hand: fused in 32 bits, composed in 64.

use adamix_kernels::*;
use adamix_keys::mask;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// The fused kernels serve 32-bit floats, so 64-bit ones take the way of the other backends.
const TYPES: [DType; 2] = [DType::F32, DType::F64];

fn tensor<const D: usize>(values: &[f64], dims: [usize; D], dtype: DType) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), dims);
    Tensor::from_data(data, (&Device::flex(), dtype))
}

#[track_caller]
fn close<const D: usize>(actual: Tensor<D>, expected: &[f64]) {
    let actual: Vec<f64> = actual.cast(DType::F64).into_data().try_to_vec().unwrap();
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() < 1e-5, "{actual:?} instead of {expected:?}");
    }
}

#[test]
fn linear_adds_the_bias() {
    for t in TYPES {
        let x = tensor(&[1., 2., 3., 4.], [2, 1, 2], t);
        let w = tensor(&[1., 0., 2., 0., 1., 1.], [2, 3], t);
        let b = tensor(&[0.5, 0., -1.], [3], t);
        close(linear(x, w, Some(b)), &[1.5, 2., 3., 3.5, 4., 9.]);
    }
}

#[test]
fn gelu_has_known_values() {
    for t in TYPES {
        // scipy.stats.norm.cdf, and torch.nn.functional.gelu(approximate="tanh").
        let x = tensor(&[-1., 0., 2.], [3], t);
        close(gelu(x.clone()), &[-0.158_655_25, 0., 1.954_499_7]);
        close(gelu_tanh(x), &[-0.158_808, 0., 1.954_597_7]);
    }
}

#[test]
fn layer_norm_normalises() {
    for t in TYPES {
        let x = tensor(&[1., 3.], [1, 2], t);
        let (gamma, beta) = (tensor(&[2., 2.], [2], t), tensor(&[0., 1.], [2], t));
        let zero = tensor(&[0.; 2], [1, 2], t);
        let y = layer_norm(x.clone(), gamma.clone(), beta.clone(), 0.0);
        close(y, &[-2., 3.]);
        close(add_layer_norm(x, zero, gamma, beta, 0.0), &[-2., 3.]);
    }
}

#[test]
fn attention_ignores_padding_and_the_future() {
    for t in TYPES {
        let q = tensor(&[0.; 2], [1, 1, 2, 1], t);
        let v = tensor(&[1., 3.], [1, 1, 2, 1], t);
        let attend = |mask: [f64; 2]| {
            let mask = tensor(&mask, [1, 2], t);
            attention(q.clone(), q.clone(), v.clone(), mask, None)
        };
        close(attend([1., 0.]), &[1., 1.]);
        close(attend([0., 0.]), &[2., 2.]);
        close(
            attention_causal(q.clone(), q.clone(), v.clone(), None, None),
            &[1., 2.],
        );
        let site = Dropout {
            rate: 0.5,
            rows: vec![11],
        };
        let dropped = attention_causal(q.clone(), q.clone(), v.clone(), None, Some(&site));
        let kept = |query: u32, key: u32| -> f64 {
            let state = mask::mix(mask::mix(11, 0), query);
            if mask::keep(state, key, mask::threshold(0.5)) {
                2.
            } else {
                0.
            }
        };
        close(dropped, &[kept(0, 0), 0.5 * kept(1, 0) + 1.5 * kept(1, 1)]);
    }
}

#[test]
fn dropout_keeps_what_the_keys_say() {
    for t in TYPES {
        let site = Dropout {
            rate: 0.5,
            rows: vec![7, 9],
        };
        let expected: Vec<f64> = (0..30u32)
            .map(|i| {
                let state = mask::mix(site.rows[i as usize / 15], i / 5 % 3);
                if mask::keep(state, i % 5, mask::threshold(0.5)) {
                    2.
                } else {
                    0.
                }
            })
            .collect();
        close(dropout(tensor(&[1.; 30], [2, 3, 5], t), &site), &expected);
    }
}
