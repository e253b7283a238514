use super::*;
use crate::reference::{self, close, host, leaf, numeric_gradient, plain, same, values, wide};
use adamix_keys::Key;
use proptest::prelude::*;

fn site(rate: f64, batch: usize, seed: u64) -> Dropout {
    let rows = (0..batch as u64)
        .map(|row| Key::new(seed).fold(row).word32())
        .collect();
    Dropout { rate, rows }
}

/// A mask with some padding anywhere; sometimes a row of nothing else.
fn padding(batch: usize, keys: usize, seed: u64) -> Vec<f32> {
    let key = Key::new(seed).purpose("mask");
    (0..batch as u64)
        .flat_map(|row| {
            let length = key.fold(row).below(keys + 1);
            let hole = key.fold(row).fold(1).below(2 * keys);
            (0..keys).map(move |key| f32::from(key < length && key != hole))
        })
        .collect()
}

fn fused(
    qkv: [Tensor<4>; 3],
    mask: Option<Tensor<2>>,
    causal: bool,
    dropout: Option<&Dropout>,
) -> Tensor<4> {
    let [q, k, v] = qkv;
    match (causal, mask) {
        (true, mask) => attention_causal(q, k, v, mask, dropout),
        (false, Some(mask)) => attention(q, k, v, mask, dropout),
        (false, None) => unreachable!(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn small_cases_agree_with_the_reference_and_numeric_gradients(
        batch in 1usize..3, heads in 1usize..3, queries in 1usize..6, past in 0usize..4,
        head_dim in 1usize..5, causal: bool, dropped: bool, seed: u64,
    ) {
        let keys = queries + past;
        let shapes = [[batch, heads, queries, head_dim], [batch, heads, keys, head_dim], [batch, heads, keys, head_dim]];
        let data = [0, 1, 2].map(|i| values(seed ^ i, shapes[i as usize].iter().product(), 1.5));
        // Where everything is padding, autodiff does not see that the bias swallowed the scores, here as in
        // the composed form: no row of that kind.
        let mut mask = padding(batch, keys, seed);
        mask.iter_mut().step_by(keys).for_each(|first| *first = 1.0);
        let site = site(0.4, batch, seed);
        let dropout = dropped.then_some(&site);
        let g = values(seed ^ 3, data[0].len(), 1.0);
        let leaves = [0, 1, 2].map(|i| leaf(&data[i], shapes[i]));
        let y = fused(leaves.clone(), Some(plain(&mask, [batch, keys])), causal, dropout);
        let factors = dropout.map(|d| wide(&d.attention_factors(heads, queries, keys, if causal { past } else { 0 })));
        let reference = |q: &[f64], k: &[f64], v: &[f64]| {
            let sizes = [batch, heads, queries, keys, head_dim];
            reference::attention([q, k, v], &mask, factors.as_deref(), causal, sizes)
        };
        let [q, k, v] = [0, 1, 2].map(|i| wide(&data[i]));
        close(&y, &reference(&q, &k, &v), 1e-5);
        let gradients = (y * plain(&g, shapes[0]).autodiff()).sum().backward();
        let expected = [
            numeric_gradient(&q, &g, |q| reference(q, &k, &v)),
            numeric_gradient(&k, &g, |k| reference(&q, k, &v)),
            numeric_gradient(&v, &g, |v| reference(&q, &k, v)),
        ];
        for (leaf, expected) in leaves.iter().zip(&expected) {
            close(&leaf.grad(&gradients).unwrap(), expected, 2e-5);
        }
    }

    #[test]
    fn odd_sizes_and_views_agree_with_the_composed_form(
        batch in 1usize..4, heads in 1usize..4, queries in prop_oneof![1usize..70, 126usize..140],
        past in 0usize..70, head_dim in 1usize..33, causal: bool, dropped: bool, masked: bool, seed: u64,
    ) {
        let keys = queries + past;
        // As a model makes them: views into [batch, tokens, heads * head_dim].
        let leaves = [queries, keys, keys].map(|tokens| {
            leaf::<3>(&values(seed ^ tokens as u64, batch * tokens * heads * head_dim, 1.5), [batch, tokens, heads * head_dim])
        });
        let site = site(0.1, batch, seed);
        let dropout = dropped.then_some(&site);
        let mask = (masked || !causal).then(|| plain(&padding(batch, keys, seed), [batch, keys]));
        let g = plain(&values(seed ^ 9, batch * queries * heads * head_dim, 1.0), [batch, queries, heads * head_dim]).autodiff();
        let outcome = |is_fused: bool| {
            let views = leaves.clone().map(|x| {
                let tokens = x.dims()[1];
                x.reshape([batch, tokens, heads, head_dim]).swap_dims(1, 2)
            });
            let y = if is_fused {
                fused(views, mask.clone(), causal, dropout)
            } else {
                let [q, k, v] = views;
                composed(q, k, v, mask.clone(), causal, dropout)
            };
            let y = y.swap_dims(1, 2).reshape([batch, queries, heads * head_dim]);
            let gradients = (y.clone() * g.clone()).sum().backward();
            let [dq, dk, dv] = leaves.each_ref().map(|leaf| leaf.grad(&gradients).unwrap());
            [y.inner(), dq, dk, dv]
        };
        for (actual, expected) in outcome(true).iter().zip(&outcome(false)) {
            close(actual, &host(expected), 3e-5);
        }
    }
}

#[test]
fn values_are_those_of_pytorch() {
    // torch 2.15, scaled_dot_product_attention in float64 with a boolean mask and with is_causal, and the
    // gradients of sum(y * [[1, 2], [3, 4]]).
    let q = [0.5, -1.0, 2.0, 0.25];
    let k = [1.0, 0.5, -0.5, 1.5];
    let v = [0.1, 0.2, -0.3, 0.4];
    let shape = [1, 1, 2, 2];
    let weights = || plain(&[1.0, 2.0, 3.0, 4.0], shape).autodiff();
    for (causal, mask, expected) in [
        (
            false,
            [1.0, 0.0],
            [
                [0.1, 0.2, 0.1, 0.2],
                [0.0, 0.0, 0.0, 0.0],
                [0.0, 0.0, 0.0, 0.0],
                [4.0, 6.0, 0.0, 0.0],
            ],
        ),
        (
            false,
            [1.0, 1.0],
            [
                [
                    0.01004701951499459,
                    0.24497649024250276,
                    0.04994018494815099,
                    0.22502990752592453,
                ],
                [
                    -5.202315487875705e-17,
                    -5.690662350404885e-17,
                    0.046451455610561944,
                    -0.030967637073708004,
                ],
                [
                    0.06193527414741588,
                    0.007741909268427049,
                    -0.061935274147415974,
                    -0.0077419092684269785,
                ],
                [
                    3.3996689358986187,
                    5.049636947056483,
                    0.6003310641013813,
                    0.9503630529435174,
                ],
            ],
        ),
        (
            true,
            [1.0, 1.0],
            [
                [0.1, 0.2, 0.04994018494815099, 0.22502990752592453],
                [0.0, 0.0, 0.046451455610561944, -0.030967637073708004],
                [
                    0.061935274147415904,
                    0.007741909268426988,
                    -0.06193527414741597,
                    -0.007741909268426996,
                ],
                [
                    3.6245513871111323,
                    5.49940184948151,
                    0.37544861288886777,
                    0.5005981505184903,
                ],
            ],
        ),
    ] {
        let leaves = [q, k, v].map(|x| leaf::<4>(&x, shape));
        let y = fused(leaves.clone(), Some(plain(&mask, [1, 2])), causal, None);
        close(&y, &expected[0], 1e-6);
        let gradients = (y * weights()).sum().backward();
        for (leaf, expected) in leaves.iter().zip(&expected[1..]) {
            close(&leaf.grad(&gradients).unwrap(), expected, 1e-6);
        }
    }
}

#[test]
fn padding_changes_no_bit_of_the_result() {
    let (q, kv) = (values(1, 2 * 9 * 8, 1.0), values(2, 2 * 9 * 8, 1.0));
    let short = plain::<4>(&kv, [1, 2, 9, 8]);
    let long = Tensor::cat(
        vec![short.clone(), plain(&[7.0; 2 * 5 * 8], [1, 2, 5, 8])],
        2,
    );
    let q = plain::<4>(&q, [1, 2, 9, 8]);
    let mask = Tensor::cat(vec![plain(&[1.0; 9], [1, 9]), plain(&[0.0; 5], [1, 5])], 1);
    let padded = attention(q.clone(), long.clone(), long, mask, None);
    let exact = attention(q, short.clone(), short, plain(&[1.0; 9], [1, 9]), None);
    assert_eq!(host(&padded), host(&exact));
}

#[test]
fn a_row_of_padding_attends_to_everything_alike() {
    let q = leaf::<4>(&values(1, 12, 1.0), [1, 1, 3, 4]);
    let y = attention(
        q.clone(),
        q.clone(),
        q.clone(),
        plain(&[0.0; 3], [1, 3]),
        None,
    );
    let mean = host(&q.clone().mean_dim(2).expand([1, 1, 3, 4]));
    close(&y, &mean, 1e-6);
    assert!(
        host(&q.grad(&y.sum().backward()).unwrap())
            .iter()
            .all(|g| g.is_finite())
    );
}

#[test]
fn only_tracked_inputs_get_gradients() {
    let q = leaf::<4>(&values(1, 12, 1.0), [1, 1, 3, 4]);
    let k = plain::<4>(&values(2, 12, 1.0), [1, 1, 3, 4]).autodiff();
    let y = attention(
        q.clone(),
        k.clone(),
        k.clone(),
        plain(&[1.0; 3], [1, 3]),
        None,
    );
    let gradients = y.sum().backward();
    assert!(q.grad(&gradients).is_some() && k.grad(&gradients).is_none());
}

#[test]
fn a_cache_gives_the_rows_of_the_whole() {
    let all = [1, 2, 3].map(|i| plain::<4>(&values(i, 2 * 7 * 4, 1.0), [1, 2, 7, 4]));
    let [q, k, v] = all.clone();
    let site = site(0.3, 1, 4);
    let whole = host(
        &attention_causal(q.clone(), k.clone(), v.clone(), None, Some(&site)).slice([
            0..1,
            0..2,
            5..7,
            0..4,
        ]),
    );
    let last = attention_causal(q.slice([0..1, 0..2, 5..7, 0..4]), k, v, None, Some(&site));
    close(&last, &whole, 1e-6);
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let data = [1, 2, 3].map(|i| values(i, 2 * 3 * 150 * 16, 1.0));
    let mask = padding(2, 150, 5);
    let site = site(0.1, 2, 6);
    same(|| {
        let leaves = data.each_ref().map(|x| leaf(x, [2, 3, 150, 16]));
        let y = fused(
            leaves.clone(),
            Some(plain(&mask, [2, 150])),
            true,
            Some(&site),
        );
        let gradients = (y.clone() * y.clone()).sum().backward();
        let [dq, dk, dv] = leaves.map(|leaf| leaf.grad(&gradients).unwrap());
        Tensor::cat(vec![y.inner(), dq, dk, dv], 0)
    });
}
