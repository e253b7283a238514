//! The whole interface once, on small numbers worked out by hand.

use adamix_kernels::*;
use burn::tensor::{Device, Tensor};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn close(actual: Vec<f32>, expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() < 1e-5, "{actual:?} instead of {expected:?}");
    }
}

#[test]
fn linear_adds_the_bias() {
    let d = Device::flex();
    let x = Tensor::<3>::from_floats([[[1., 2.]], [[3., 4.]]], &d);
    let w = Tensor::from_floats([[1., 0., 2.], [0., 1., 1.]], &d);
    let b = Tensor::from_floats([0.5, 0., -1.], &d);
    close(values(linear(x, w, Some(b))), &[1.5, 2., 3., 3.5, 4., 9.]);
}

#[test]
fn gelu_has_known_values() {
    // scipy.stats.norm.cdf, and torch.nn.functional.gelu(approximate="tanh").
    let x = Tensor::<1>::from_floats([-1., 0., 2.], &Device::flex());
    close(values(gelu(x.clone())), &[-0.158_655_25, 0., 1.954_499_7]);
    close(values(gelu_tanh(x)), &[-0.158_808, 0., 1.954_597_7]);
}

#[test]
fn layer_norm_normalises() {
    let d = Device::flex();
    let x = Tensor::<2>::from_floats([[1., 3.]], &d);
    let gamma = Tensor::from_floats([2., 2.], &d);
    let beta = Tensor::from_floats([0., 1.], &d);
    let zero = Tensor::zeros([1, 2], &d);
    close(
        values(layer_norm(x.clone(), gamma.clone(), beta.clone(), 0.0)),
        &[-2., 3.],
    );
    close(
        values(add_layer_norm(x, zero, gamma, beta, 0.0)),
        &[-2., 3.],
    );
}

#[test]
fn attention_ignores_padding_and_the_future() {
    let d = Device::flex();
    let q = Tensor::<4>::zeros([1, 1, 2, 1], &d);
    let v = Tensor::<4>::from_floats([[[[1.], [3.]]]], &d);
    let mask = Tensor::from_floats([[1., 0.]], &d);
    close(
        values(attention(q.clone(), q.clone(), v.clone(), mask, None)),
        &[1., 1.],
    );
    let none = Tensor::zeros([1, 2], &d);
    close(
        values(attention(q.clone(), q.clone(), v.clone(), none, None)),
        &[2., 2.],
    );
    close(
        values(attention_causal(q.clone(), q, v, None, None)),
        &[1., 2.],
    );
}

#[test]
fn dropout_keeps_what_the_keys_say() {
    use adamix_keys::mask;
    let x = Tensor::<3>::ones([2, 3, 5], &Device::flex());
    let site = Dropout {
        rate: 0.5,
        rows: vec![7, 9],
    };
    let expected: Vec<f32> = (0..30u32)
        .map(|i| {
            let state = mask::mix(site.rows[i as usize / 15], i / 5 % 3);
            if mask::keep(state, i % 5, mask::threshold(0.5)) {
                2.
            } else {
                0.
            }
        })
        .collect();
    close(values(dropout(x, &site)), &expected);
}
