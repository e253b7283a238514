//! The invariants that each rule has, and those that it has not.

use std::collections::BTreeMap;

use adamix_keys::Key;
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::*;
use crate::random::Initializer;

const MODULE: &str = "layer.0.adamix";

/// A projection with values from a key; low-rank experts have no bias.
fn expert(shape: [usize; 2], biased: bool, key: Key) -> Linear {
    let sample = |name, n| Initializer::Normal(1.0).sample(key.purpose(name), n);
    let bias = biased.then(|| sample("bias", shape[1]));
    Linear::from_values(
        shape,
        sample("weight", shape[0] * shape[1]),
        bias,
        &Device::flex(),
    )
}

fn experts(count: usize, shape: [usize; 2], biased: bool, key: Key) -> Vec<Linear> {
    let expert = |i| expert(shape, biased, key.fold(i as u64));
    (0..count).map(expert).collect()
}

fn merge(rule: &dyn MergeRule, experts: &[Linear]) -> Linear {
    rule.merge(experts, &Place::bank(MODULE, "down")).unwrap()
}

fn pair<'a>(down: &'a [Linear], up: &'a [Linear]) -> Pair<'a> {
    Pair {
        module: MODULE,
        down,
        up,
        linear: true,
    }
}

/// The product of the two maps of a low-rank update.
fn product([down, up]: &[Linear; 2]) -> Vec<f32> {
    values(down.weight.val().matmul(up.weight.val()))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn close(a: &[f32], b: &[f32], tolerance: f32) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| (a - b).abs() <= tolerance * (1.0 + b.abs()))
}

fn all(linear: &Linear) -> Vec<f32> {
    let bias = linear.bias_values().unwrap_or_default();
    [linear.weight_values(), bias].concat()
}

/// Rules on one parameter that do not care for the order of the experts.
fn symmetric() -> Vec<Box<dyn MergeRule>> {
    vec![
        Box::new(Uniform {}),
        Box::new(Ties::default()),
        Box::new(Ties {
            election: Election::Frequency,
            density: 0.6,
        }),
        Box::new(Magnitude::default()),
    ]
}

/// Information and inputs for the rules that need them, the same for every expert's place.
fn gathered(count: usize, shape: [usize; 2], key: Key) -> (Fisher, RegMean) {
    let mut information = BTreeMap::new();
    let mut inputs = BTreeMap::new();
    for i in 0..count {
        let place = Place::bank(MODULE, "down");
        for (parameter, n) in [("weight", shape[0] * shape[1]), ("bias", shape[1])] {
            let drawn = Initializer::Uniform(1.0).sample(key.purpose(parameter).fold(i as u64), n);
            let name = place.of(parameter).in_expert(i);
            information.insert(name, drawn.into_iter().map(f32::abs).collect());
        }
        let rows = 4 * shape[0];
        let x = Initializer::Normal(1.0).sample(key.purpose("x").fold(i as u64), rows * shape[0]);
        let x = Tensor::<2>::from_data(TensorData::new(x, [rows, shape[0]]), &Device::flex());
        let mut gram = Gram::zeros(shape[0]);
        gram.add(&values(x.clone().transpose().matmul(x)));
        inputs.insert(format!("{place}.{i}"), gram);
    }
    (
        Fisher { information },
        RegMean {
            inputs,
            shrink: 0.9,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn uniform_is_the_mean(count in 1usize..6, rows in 1usize..9, columns in 1usize..9, seed: u64) {
        let experts = experts(count, [rows, columns], true, Key::new(seed));
        let mut expected = vec![0f64; rows * columns + columns];
        for expert in &experts {
            for (e, v) in expected.iter_mut().zip(all(expert)) {
                *e += f64::from(v) / count as f64;
            }
        }
        let expected: Vec<f32> = expected.into_iter().map(|v| v as f32).collect();
        let merged = all(&merge(&Uniform {}, &experts));
        prop_assert!(close(&merged, &expected, 1e-6));
        let given = Weighted::everywhere(vec![1.0 / count as f64; count]);
        prop_assert!(close(&all(&merge(&given, &experts)), &expected, 1e-6));
    }

    #[test]
    fn the_order_of_experts_does_not_matter(count in 2usize..6, seed: u64) {
        let mut experts = experts(count, [7, 5], true, Key::new(seed));
        let before: Vec<_> = symmetric().iter().map(|r| all(&merge(r.as_ref(), &experts))).collect();
        Key::new(seed).purpose("order").shuffle(&mut experts);
        for (rule, before) in symmetric().iter().zip(before) {
            prop_assert!(close(&all(&merge(rule.as_ref(), &experts)), &before, 1e-6), "{}", rule.name());
        }
    }

    #[test]
    fn experts_and_what_was_gathered_move_together(count in 2usize..5, seed: u64) {
        let (shape, key) = ([6, 4], Key::new(seed));
        let drawn = experts(count, shape, true, key);
        let (fisher, regmean) = gathered(count, shape, key);
        let order = key.permutation(count);
        let place = Place::bank(MODULE, "down");
        let moved = |old: usize| order.iter().position(|o| *o as usize == old).unwrap();
        let permuted: Vec<Linear> = order.iter().map(|i| drawn[*i as usize].clone()).collect();
        let mut fisher_moved = Fisher { information: BTreeMap::new() };
        let mut regmean_moved = RegMean { inputs: BTreeMap::new(), shrink: 0.9 };
        for i in 0..count {
            for parameter in ["weight", "bias"] {
                let (old, new) = (place.of(parameter).in_expert(i), place.of(parameter).in_expert(moved(i)));
                fisher_moved.information.insert(new, fisher.information[&old].clone());
            }
            regmean_moved.inputs.insert(format!("{place}.{}", moved(i)), regmean.inputs[&format!("{place}.{i}")].clone());
        }
        prop_assert!(close(&all(&merge(&fisher, &drawn)), &all(&merge(&fisher_moved, &permuted)), 1e-5));
        prop_assert!(close(&all(&merge(&regmean, &drawn)), &all(&merge(&regmean_moved, &permuted)), 1e-4));
    }

    #[test]
    fn one_expert_stays_as_it_is_or_is_thinned(seed: u64) {
        let (shape, key) = ([6, 4], Key::new(seed));
        let one = experts(1, shape, true, key);
        let (fisher, regmean) = gathered(1, shape, key);
        let same: [&dyn MergeRule; 7] = [
            &Uniform {}, &Weighted::everywhere(vec![1.0]), &fisher, &regmean,
            &Ties { density: 1.0, ..Ties::default() }, &Magnitude { density: 1.0 }, &Dare { density: 1.0, ..Dare::default() },
        ];
        for rule in same {
            prop_assert!(close(&all(&merge(rule, &one)), &all(&one[0]), 1e-5), "{}", rule.name());
        }
        let thinning: [&dyn MergeRule; 3] = [&Ties::default(), &Magnitude::default(), &Dare::default()];
        for rule in thinning {
            prop_assert!(!close(&all(&merge(rule, &one)), &all(&one[0]), 1e-5), "{}", rule.name());
        }
    }

    #[test]
    fn a_product_is_cut_to_its_largest_singular_values(count in 1usize..4, rank in 1usize..4, seed: u64) {
        let key = Key::new(seed);
        let (input, output, own) = (9, 7, 2);
        let down = experts(count, [input, own], false, key.purpose("down"));
        let up = experts(count, [own, output], false, key.purpose("up"));
        let mut mean = vec![0f64; input * output];
        for i in 0..count {
            for (m, v) in mean.iter_mut().zip(product(&[down[i].clone(), up[i].clone()])) {
                *m += f64::from(v) / count as f64;
            }
        }
        let merged = product(&Product { rank }.merge_pair(&pair(&down, &up)).unwrap());
        // Eckart and Young: the squared error is the sum of the squared singular values left out.
        let full = nalgebra::DMatrix::from_row_iterator(input, output, mean.iter().copied());
        let left_out: f64 = full.singular_values().iter().skip(rank).map(|s| s * s).sum();
        let error: f64 = merged.iter().zip(&mean).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        prop_assert!((error - left_out).abs() < 1e-4 * (1.0 + left_out), "{error} {left_out}");
        // Experts in another order make the same update.
        let (mut down, mut up) = (down, up);
        down.reverse();
        up.reverse();
        let reversed = product(&Product { rank }.merge_pair(&pair(&down, &up)).unwrap());
        if is_clear(full.singular_values().as_slice(), rank) {
            prop_assert!(close(&reversed, &merged, 2e-3));
        }
    }

    #[test]
    fn with_a_shared_side_every_mean_of_products_is_exact(count in 1usize..5, seed: u64) {
        let key = Key::new(seed);
        let down = experts(count, [8, 3], false, key.purpose("down"));
        let up = experts(1, [3, 6], false, key.purpose("up"));
        let mut mean = vec![0f32; 8 * 6];
        for expert in &down {
            for (m, v) in mean.iter_mut().zip(product(&[expert.clone(), up[0].clone()])) {
                *m += v / count as f32;
            }
        }
        let rules: [&dyn MergeRule; 3] = [&Uniform {}, &Product::default(), &Concatenation {}];
        for rule in rules {
            let merged = rule.merge_pair(&pair(&down, &up)).unwrap();
            prop_assert!(close(&product(&merged), &mean, 1e-4), "{}", rule.name());
        }
    }

    #[test]
    fn a_concatenation_answers_with_the_mean_of_the_experts(count in 1usize..5, seed: u64) {
        let key = Key::new(seed);
        let down = experts(count, [8, 3], true, key.purpose("down"));
        let up = experts(count, [3, 6], true, key.purpose("up"));
        let x = Initializer::Normal(1.0).sample(key.purpose("x"), 4 * 8);
        let x = Tensor::<2>::from_data(TensorData::new(x, [4, 8]), &Device::flex());
        let run = |down: &Linear, up: &Linear| up.forward(down.forward(x.clone()).tanh());
        let mean = down.iter().zip(&up).map(|(d, u)| run(d, u)).reduce(|a, b| a + b).unwrap() / count as f64;
        let [wide_down, wide_up] = Concatenation {}.merge_pair(&pair(&down, &up)).unwrap();
        prop_assert!(close(&values(run(&wide_down, &wide_up)), &values(mean), 1e-4));
    }

    #[test]
    fn dropping_and_rescaling_keeps_the_mean_in_expectation(seed in 0u64..1000) {
        let values = [3.0f32, -2.0, 0.5, 8.0];
        let place = Place::bank(MODULE, "up").of("weight");
        let mut sum = [0f64; 4];
        let draws = 2000;
        for draw in 0..draws {
            let rule = Dare { density: 0.4, seed: seed * draws + draw, elect: false };
            for (s, v) in sum.iter_mut().zip(rule.combine(&[&values], &place).unwrap()) {
                *s += f64::from(v) / draws as f64;
            }
        }
        for (mean, value) in sum.iter().zip(values) {
            // Five standard errors of a value times Bernoulli(0.4) / 0.4.
            let error = 5.0 * f64::from(value.abs()) * (0.6f64 / 0.4 / draws as f64).sqrt();
            prop_assert!((mean - f64::from(value)).abs() < error, "{mean} {value}");
        }
    }
}

/// Whether the last singular value that stays is clear of the first that goes, so that the cut is well
/// defined.
fn is_clear(singular: &[f64], rank: usize) -> bool {
    let next = singular.get(rank).copied().unwrap_or(0.0);
    rank > singular.len() || singular[rank - 1] - next > 0.05 * singular[0]
}

#[test]
fn ties_by_hand() {
    let experts: [&[f32]; 3] = [&[5.0, 1.0, -2.0], &[0.1, 4.0, -3.0], &[-6.0, 0.5, 2.0]];
    let place = Place::bank(MODULE, "down").of("weight");
    let ties = |election| {
        let rule = Ties {
            density: 0.67,
            election,
        };
        rule.combine(&experts, &place).unwrap()
    };
    // Each keeps two of its three: [5, 0, -2], [0, 4, -3], [-6, 0, 2].
    // Sums: -1, 4, -3; frequencies: 0 (even, so plus), 1, -1.
    assert_eq!(ties(Election::Total), [-6.0, 4.0, -2.5]);
    assert_eq!(ties(Election::Frequency), [5.0, 4.0, -2.5]);
}

#[test]
fn fisher_by_hand() {
    let place = Place::bank(MODULE, "down").of("weight");
    let information = BTreeMap::from([
        (place.in_expert(0), vec![3.0f32, 0.0]),
        (place.in_expert(1), vec![1.0f32, 0.0]),
    ]);
    let rule = Fisher { information };
    let merged = rule.combine(&[&[2.0, 2.0], &[6.0, 6.0]], &place).unwrap();
    // (3 · 2 + 1 · 6) / 4 where there is information, the mean where there is none.
    assert!(close(&merged, &[3.0, 4.0], 1e-5), "{merged:?}");
    let error = rule.combine(&[&[2.0]], &place.of("bias")).unwrap_err();
    assert!(
        error.to_string().contains("layer.0.adamix.down.0.bias"),
        "{error}"
    );
}

#[test]
fn regmean_by_hand() {
    // Scalars: (g1 w1 + g2 w2) / (g1 + g2) = (1 · 2 + 3 · 6) / 4.
    let scalar = |value| Linear::from_values([1, 1], vec![value], None, &Device::flex());
    let gram = |value| Gram {
        width: 1,
        values: vec![value],
    };
    let inputs = BTreeMap::from([
        (format!("{MODULE}.down.0"), gram(1.0)),
        (format!("{MODULE}.down.1"), gram(3.0)),
    ]);
    let merged = merge(
        &RegMean {
            inputs,
            shrink: 0.9,
        },
        &[scalar(2.0), scalar(6.0)],
    );
    assert!(close(&merged.weight_values(), &[5.0], 1e-6));

    // [[2, 1], [1, 2]] and [[1, 0], [0, 3]], shrunk by half: [[3, 0.5], [0.5, 5]] w = (2, 0.5) + (0, 3).
    let column =
        |values: [f32; 2]| Linear::from_values([2, 1], values.to_vec(), None, &Device::flex());
    let gram = |values: [f64; 4]| Gram {
        width: 2,
        values: values.to_vec(),
    };
    let inputs = BTreeMap::from([
        (format!("{MODULE}.down.0"), gram([2.0, 1.0, 1.0, 2.0])),
        (format!("{MODULE}.down.1"), gram([1.0, 0.0, 0.0, 3.0])),
    ]);
    let rule = RegMean {
        inputs,
        shrink: 0.5,
    };
    let merged = merge(&rule, &[column([1.0, 0.0]), column([0.0, 1.0])]).weight_values();
    assert!(
        close(&merged, &[8.25 / 14.75, 9.5 / 14.75], 1e-6),
        "{merged:?}"
    );
}

#[test]
fn dare_drops_for_each_expert_and_may_elect_signs() {
    let place = Place::bank(MODULE, "down").of("weight");
    let ones = [1f32; 400];
    let merged = Dare::default().combine(&[&ones, &ones], &place).unwrap();
    // One of the two is dropped, the other doubled.
    assert!(merged.contains(&1.0), "{merged:?}");
    let elected = Dare {
        density: 1.0,
        elect: true,
        ..Dare::default()
    };
    let merged = elected.combine(&[&[5.0], &[-1.0]], &place).unwrap();
    assert_eq!(merged, [5.0]);
}

#[test]
fn regmean_minimises_the_distance_of_the_outputs() {
    let (count, shape, key) = (3, [6, 4], Key::new(5));
    let experts = experts(count, shape, true, key);
    let (_, mut rule) = gathered(count, shape, key);
    rule.shrink = 1.0;
    let merged = merge(&rule, &experts);
    // Σ tr((W - W_i)^T G_i (W - W_i)), in 64 bits.
    let distance = |weight: &[f64]| -> f64 {
        let matrix = |v: Vec<f64>| nalgebra::DMatrix::from_row_iterator(shape[0], shape[1], v);
        let wide = |l: &Linear| {
            l.weight_values()
                .into_iter()
                .map(f64::from)
                .collect::<Vec<_>>()
        };
        (0..count)
            .map(|i| {
                let gram = &rule.inputs[&format!("{MODULE}.down.{i}")];
                let gram = nalgebra::DMatrix::from_row_iterator(6, 6, gram.values.iter().copied());
                let off = matrix(weight.to_vec()) - matrix(wide(&experts[i]));
                (off.transpose() * gram * off).trace()
            })
            .sum()
    };
    let found: Vec<f64> = merged.weight_values().into_iter().map(f64::from).collect();
    let best = distance(&found);
    for i in 0..found.len() {
        for step in [-0.01, 0.01] {
            let mut moved = found.clone();
            moved[i] += step;
            assert!(distance(&moved) > best, "{i}");
        }
    }
}

#[test]
fn rules_refuse_what_they_cannot_merge() {
    let key = Key::new(1);
    let (down, up) = (experts(2, [4, 2], true, key), experts(2, [2, 4], true, key));
    let with_activation = Pair {
        linear: false,
        ..pair(&down, &up)
    };
    let error = Product::default().merge_pair(&with_activation).unwrap_err();
    assert!(error.to_string().contains(MODULE), "{error}");
    let three = Weighted::everywhere(vec![0.3; 3]);
    let error = three.merge_pair(&pair(&down, &up)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`layer.0.adamix.down` has 2 experts, but 3 weights are given"
    );
    let nothing = Weighted::everywhere(vec![0.5, f64::NAN])
        .check()
        .unwrap_err();
    assert_eq!(nothing.to_string(), "option `weights`: NaN is no weight");
    let huge = Product { rank: 1 << 40 }.check().unwrap_err();
    assert!(huge.to_string().contains("option `rank`"), "{huge}");
}

#[test]
fn biases_of_linear_modules_outlive_the_product() {
    let key = Key::new(4);
    let (down, up) = (
        experts(3, [4, 2], true, key),
        experts(3, [2, 4], true, key.fold(9)),
    );
    let x = Tensor::<2>::from_data(
        TensorData::new(vec![0.3f32, -1.0, 2.0, 0.7], [1, 4]),
        &Device::flex(),
    );
    let run = |down: &Linear, up: &Linear| {
        let x = x.clone().unsqueeze::<3>();
        up.forward(down.forward(x))
    };
    // Of rank 4 the products of three experts of rank 2 lose nothing.
    let [a, b] = Product { rank: 4 }.merge_pair(&pair(&down, &up)).unwrap();
    let merged = values(run(&a, &b));
    let mean = (0..3)
        .map(|i| run(&down[i], &up[i]))
        .reduce(|a, b| a + b)
        .unwrap()
        / 3.0;
    assert!(close(&merged, &values(mean), 1e-4), "{merged:?}");
    assert!(a.bias.is_some() && b.bias.is_some());
}

#[test]
fn a_product_of_what_is_no_number_is_refused() {
    let key = Key::new(5);
    let (mut down, up) = (
        experts(2, [4, 3], false, key),
        experts(2, [3, 4], false, key),
    );
    let mut weight = down[1].weight_values();
    weight[5] = f32::NAN;
    down[1] = down[1].with_values([4, 3], weight, None);
    let error = Product::default()
        .merge_pair(&pair(&down, &up))
        .unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
}

#[test]
fn other_rules_for_some_places() {
    let key = Key::new(1);
    let (down, up) = (experts(2, [4, 2], true, key), experts(2, [2, 4], true, key));
    let first: Arc<dyn MergeRule> = Arc::new(Weighted::everywhere(vec![1.0, 0.0]));
    let rule = ByPlace {
        overrides: vec![Override {
            sites: "layer.*".to_owned(),
            bank: Some("up".to_owned()),
            rule: first,
        }],
        otherwise: Arc::new(Uniform {}),
    };
    let [merged_down, merged_up] = rule.merge_pair(&pair(&down, &up)).unwrap();
    assert_eq!(all(&merged_down), all(&merge(&Uniform {}, &down)));
    assert_eq!(all(&merged_up), all(&up[0]));
}

#[test]
fn names_make_rules_with_their_options() {
    use crate::options::Value;
    for name in RULES.names() {
        let rule = RULES.make(name, &Options::NONE).unwrap();
        assert_eq!(rule.name(), name);
    }
    let bad = Options::NONE.with("density", Value::Number(1.5));
    assert_eq!(
        RULES.make("ties", &bad).unwrap_err().to_string(),
        "merging rule `ties`: option `density`: 1.5 is not between 0 and 1"
    );
    let unknown = RULES.make("tise", &Options::NONE).unwrap_err().to_string();
    assert!(
        unknown.contains("known: uniform, weighted, ties"),
        "{unknown}"
    );
}
