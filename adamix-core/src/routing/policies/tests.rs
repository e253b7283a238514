//! What every policy must be, what each is in law, and its formula by hand.

use std::sync::Arc;

use adamix_keys::Key;
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::*;
use crate::linear::Linear;
use crate::options::{Options, Value};
use crate::parameter;
use crate::random::Initializer;
use crate::routing::*;

const BATCH: usize = 3;
const TOKENS: usize = 4;
const WIDTH: usize = 5;
const SITE: &str = "layer.0.output";

/// All that a decision is asked with; the last token of the last example is padding.
struct Ask {
    moment: Moment,
    counts: (usize, usize),
    examples: Vec<u32>,
    training: bool,
    input: Tensor<3>,
    mask: Tensor<2>,
    router: Option<Router>,
    device: Device,
}

impl Ask {
    fn new(policy: &dyn RoutingPolicy, counts: (usize, usize), key: Key, device: &Device) -> Self {
        let shape = RouterShape {
            width: WIDTH,
            experts: counts.0.max(counts.1),
        };
        let mut declared = policy.parameters(&shape);
        for map in &mut declared {
            map.initializer_range = 1.0;
        }
        let input = Initializer::Normal(1.0).sample(key.purpose("x"), BATCH * TOKENS * WIDTH);
        let mut mask = vec![1f32; BATCH * TOKENS];
        mask[BATCH * TOKENS - 1] = 0.0;
        Self {
            moment: Moment {
                root: key.purpose("routing"),
                step: 1,
                micro: 0,
                pass: 0,
            },
            counts,
            examples: vec![7, 3, 11],
            training: true,
            input: Tensor::from_data(TensorData::new(input, [BATCH, TOKENS, WIDTH]), device),
            mask: Tensor::from_data(TensorData::new(mask, [BATCH, TOKENS]), device),
            router: Router::init(&declared, key.purpose("router"), device),
            device: device.clone(),
        }
    }

    fn ask(&self, policy: &dyn RoutingPolicy) -> Decision {
        policy.decide(&RoutingContext {
            moment: self.moment,
            site: SITE,
            down: self.counts.0,
            up: self.counts.1,
            examples: &self.examples,
            training: self.training,
            input: Some(&self.input),
            device: &self.device,
            mask: Some(&self.mask),
            router: self.router.as_ref(),
        })
    }

    fn at(mut self, step: u64, pass: u64) -> Self {
        (self.moment.step, self.moment.pass) = (step, pass);
        self
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.without_autodiff().into_data().try_to_vec().unwrap()
}

fn all() -> Vec<Arc<dyn RoutingPolicy>> {
    let make = |name| POLICIES.make(name, &Options::NONE).unwrap();
    POLICIES.names().into_iter().map(make).collect()
}

/// Experts of a choice, whatever its grain.
fn chosen(choice: &Choice) -> Vec<usize> {
    match choice {
        Choice::One(expert) => vec![*expert],
        Choice::PerExample(experts) => experts.clone(),
        Choice::PerToken(experts) => experts.concat(),
    }
}

fn one(decision: Decision) -> (usize, usize) {
    match decision {
        Decision::Experts {
            down: Choice::One(down),
            up: Choice::One(up),
        } => (down, up),
        other => panic!("{other:?}"),
    }
}

fn mixed(decision: Decision) -> Mixed {
    match decision {
        Decision::Mixed(mixed) => mixed,
        other => panic!("{other:?}"),
    }
}

/// The chi-square statistic of counts against expected ones.
fn chi_square(counts: &[f64], expected: impl Fn(usize) -> f64) -> f64 {
    let term = |(i, count): (usize, &f64)| (count - expected(i)).powi(2) / expected(i);
    counts.iter().enumerate().map(term).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_decision_is_valid_and_a_function_of_its_key(down in 1usize..6, up in 1usize..6, share in 0u8..3, seed: u64) {
        // Nothing shared (as many ups as downs), or one side shared.
        let counts = match share { 0 => (down + 1, down + 1), 1 => (down + 1, 1), _ => (1, up + 1) };
        let device = Device::flex();
        for policy in all() {
            let ask = || Ask::new(policy.as_ref(), counts, Key::new(seed), &device).at(seed % 7, seed % 2);
            let (decision, again) = (ask().ask(policy.as_ref()), ask().ask(policy.as_ref()));
            let name = policy.name();
            match (&decision, &again) {
                (Decision::Experts { down, up }, Decision::Experts { down: d, up: u }) => {
                    prop_assert_eq!((down, up), (d, u));
                    prop_assert!(chosen(down).iter().all(|e| *e < counts.0), "{}", name);
                    prop_assert!(chosen(up).iter().all(|e| *e < counts.1), "{}", name);
                    let rows = match policy.grain() { Grain::Batch => 1, Grain::Example => BATCH, Grain::Token => BATCH * TOKENS };
                    prop_assert_eq!(chosen(down).len(), rows);
                }
                (Decision::Mixed(first), Decision::Mixed(second)) => {
                    prop_assert_eq!(values(first.weights.clone()), values(second.weights.clone()));
                    let dims = first.weights.dims();
                    let expected = match policy.grain() { Grain::Batch => [1, 1], Grain::Example => [BATCH, 1], Grain::Token => [BATCH, TOKENS] };
                    prop_assert_eq!(&dims[..2], &expected[..]);
                    for row in values(first.weights.clone()).chunks(dims[2]) {
                        prop_assert!(row.iter().all(|w| *w >= 0.0), "{}: {:?}", name, row);
                        prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{}: {:?}", name, row);
                    }
                }
                _ => prop_assert!(false, "{}", name),
            }
        }
    }

    #[test]
    fn what_an_example_gets_does_not_depend_on_its_place(seed: u64) {
        let device = Device::flex();
        for policy in all() {
            let counts = (4, 4);
            let ask = Ask::new(policy.as_ref(), counts, Key::new(seed), &device);
            let weights = |ask: &Ask| {
                let weights = match ask.ask(policy.as_ref()) {
                    Decision::Experts { down, .. } => down.one_hot(4, &device),
                    Decision::Mixed(mixed) => mixed.weights,
                };
                let [batch, tokens, _] = weights.dims();
                values(weights.expand([BATCH, tokens, 4])).chunks(4 * tokens).map(<[f32]>::to_vec).take(BATCH.max(batch)).collect::<Vec<_>>()
            };
            let before = weights(&ask);
            let turn = |x: Tensor<3>| Tensor::cat(vec![x.clone().narrow(0, 1, 2), x.narrow(0, 0, 1)], 0);
            let turned = Ask {
                examples: vec![3, 11, 7],
                input: turn(ask.input.clone()),
                mask: turn(ask.mask.clone().unsqueeze_dim(2)).squeeze_dim(2),
                ..ask
            };
            let after = weights(&turned);
            for (i, row) in after.iter().enumerate() {
                let same = row.iter().zip(&before[(i + 1) % BATCH]).all(|(a, b)| (a - b).abs() < 1e-5);
                prop_assert!(same, "{}: {:?} {:?}", policy.name(), before, after);
            }
        }
    }

    #[test]
    fn the_gradient_of_every_learned_policy_is_the_numeric_one(seed in 0u64..1_000_000) {
        let device = Device::flex().autodiff();
        for policy in all() {
            let mut ask = Ask::new(policy.as_ref(), (3, 3), Key::new(seed), &device);
            let Some(router) = ask.router.clone() else { continue };
            // Coefficients of the weights; the policy's own losses are added.
            let loss = |ask: &Ask| -> Tensor<1> {
                let mixed = mixed(ask.ask(policy.as_ref()));
                let dims = mixed.weights.dims();
                let c = Initializer::Normal(1.0).sample(Key::new(seed).purpose("c"), dims.iter().product());
                let weighted = (mixed.weights * Tensor::from_data(TensorData::new(c, dims), &device)).sum();
                mixed.auxiliary.into_iter().fold(weighted, |sum, term| sum + term)
            };
            let mut tape = loss(&ask).backward();
            let found = parameter::gradients(&router, &mut tape);
            prop_assert_eq!(found.len(), parameter::parameters(&router).len(), "{}", policy.name());
            let numeric = |ask: &mut Ask, name: &str, index: usize| {
                let mut at = |step: f32| {
                    let mut values = parameter::export(&router, |_| true);
                    values.get_mut(name).unwrap().values[index] += step;
                    ask.router = Some(parameter::assign(router.clone(), values).unwrap());
                    loss(ask).into_scalar::<f32>()
                };
                let step = 2e-3;
                let (left, middle, right) = (at(-step), at(0.0), at(step));
                [middle - left, right - middle].map(|rise| rise / step)
            };
            let (mut checked, mut tried) = (0, 0);
            for info in parameter::parameters(&router) {
                let gradient = values(found[&info.name].clone());
                for index in 0..info.count().min(6) {
                    // Gradients are in memory layout, values in the files': a matrix is transposed.
                    let (rows, columns) = match info.shape.as_slice() { [r, c] => (*r, *c), [n] => (*n, 1), _ => unreachable!() };
                    let memory = (index % columns) * rows + index / columns;
                    if policy.name() == "gumbel" {
                        // Straight through: the gradient of the softmax, which the value does not show.
                        continue;
                    }
                    let [left, right] = numeric(&mut ask, &info.name, index);
                    let expected = (left + right) / 2.0;
                    tried += 1;
                    if (left - right).abs() > 5e-2 * (1.0 + expected.abs()) {
                        // Another choice begins here: there is no gradient to compare with.
                        continue;
                    }
                    checked += 1;
                    let (g, tolerance) = (gradient[memory], 3e-2 * (1.0 + expected.abs()));
                    prop_assert!((g - expected).abs() < tolerance, "{} {}[{}]: {} {}", policy.name(), info.name, index, g, expected);
                }
            }
            prop_assert!(2 * checked >= tried, "{}: {} of {}", policy.name(), checked, tried);
        }
    }
}

#[test]
fn stochastic_draws_are_uniform_and_the_sides_independent() {
    let device = Device::flex();
    let policy = Stochastic {};
    let mut counts = [0f64; 12];
    for step in 0..12_000 {
        let ask = Ask::new(&policy, (4, 3), Key::new(7), &device).at(step, 0);
        let (down, up) = one(ask.ask(&policy));
        counts[down * 3 + up] += 1.0;
    }
    // 11 degrees of freedom: 31.26 is the 0.999 quantile.
    let statistic = chi_square(&counts, |_| 1000.0);
    assert!(statistic < 31.26, "{statistic} {counts:?}");
}

#[test]
fn draws_of_finer_grains_are_uniform() {
    let device = Device::flex();
    for policy in [
        &StochasticPerExample {} as &dyn RoutingPolicy,
        &StochasticPerToken {},
        &Hash {},
    ] {
        let mut counts = [0f64; 4];
        for step in 0..500u32 {
            let mut ask = Ask::new(policy, (4, 4), Key::new(7), &device);
            ask.moment.step = step.into();
            ask.examples = (0..BATCH as u32).map(|i| step * 3 + i).collect();
            match ask.ask(policy) {
                Decision::Experts { down, .. } => {
                    for expert in chosen(&down) {
                        counts[expert] += 1.0;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        let even = counts.iter().sum::<f64>() / 4.0;
        // 3 degrees of freedom: 16.27 is the 0.999 quantile.
        let statistic = chi_square(&counts, |_| even);
        assert!(
            statistic < 16.27,
            "{}: {statistic} {counts:?}",
            policy.name()
        );
    }
}

#[test]
fn tied_sides_follow_one_uniform_draw() {
    let device = Device::flex();
    let policy = StochasticTied {};
    let mut counts = [0f64; 4];
    for step in 0..4000 {
        let ask = Ask::new(&policy, (4, 4), Key::new(7), &device).at(step, 0);
        let (down, up) = one(ask.ask(&policy));
        assert_eq!(down, up);
        counts[down] += 1.0;
    }
    let statistic = chi_square(&counts, |_| 1000.0);
    assert!(statistic < 16.27, "{statistic} {counts:?}");
}

#[test]
fn without_replacement_the_passes_differ_and_are_uniform() {
    let device = Device::flex();
    let policy = WithoutReplacement {};
    let mut counts = [[0f64; 4]; 2];
    let mut pairs = [0f64; 12];
    for step in 0..6000 {
        let at = |pass| {
            let ask = Ask::new(&policy, (4, 4), Key::new(7), &device).at(step, pass);
            one(ask.ask(&policy))
        };
        let (first, second) = (at(0), at(1));
        assert!(first.0 != second.0 && first.1 != second.1);
        counts[0][first.0] += 1.0;
        counts[1][second.1] += 1.0;
        let other = second.0 - usize::from(second.0 > first.0);
        pairs[first.0 * 3 + other] += 1.0;
    }
    for counts in &counts {
        let statistic = chi_square(counts, |_| 1500.0);
        assert!(statistic < 16.27, "{statistic} {counts:?}");
    }
    let statistic = chi_square(&pairs, |_| 500.0);
    assert!(statistic < 31.26, "{statistic} {pairs:?}");
}

#[test]
fn turns_and_hashes_are_what_they_say() {
    let device = Device::flex();
    let at = |policy: &dyn RoutingPolicy, step, pass| {
        Ask::new(policy, (3, 1), Key::new(7), &device)
            .at(step, pass)
            .ask(policy)
    };
    let turns: Vec<_> = (1..5)
        .map(|step| one(at(&RoundRobin {}, step, 0)).0)
        .collect();
    assert_eq!(turns, [1, 2, 0, 1]);
    assert_eq!(one(at(&RoundRobin {}, 1, 1)), (2, 0));
    let experts = |decision| match decision {
        Decision::Experts { down, .. } => chosen(&down),
        other => panic!("{other:?}"),
    };
    assert_eq!(experts(at(&Hash {}, 1, 0)), experts(at(&Hash {}, 9, 1)));
    assert_eq!(one(at(&Fixed { expert: 2 }, 5, 1)), (2, 0));
}

#[test]
fn dropped_experts_leave_the_mean_of_the_others() {
    let device = Device::flex();
    let policy = ExpertDropout { rate: 0.25 };
    let mut kept = [0f64; 3];
    for step in 0..6000 {
        let ask = Ask::new(&policy, (3, 3), Key::new(7), &device).at(step, 0);
        let weights = values(mixed(ask.ask(&policy)).weights);
        let count = weights.iter().filter(|w| **w > 0.0).count() as f32;
        for (i, weight) in weights.iter().enumerate() {
            assert!(*weight == 0.0 || (weight - 1.0 / count).abs() < 1e-6);
            kept[i] += f64::from(u8::from(*weight > 0.0));
        }
    }
    // Kept with 3/4, or as the last of all dropped ones: 3/4 + (1/4)^3 / 3.
    let rate = 0.75 + 1.0 / 192.0;
    for count in kept {
        let z = (count - 6000.0 * rate) / (6000.0 * rate * (1.0 - rate)).sqrt();
        assert!(z.abs() < 4.0, "{z} {kept:?}");
    }
    let mut ask = Ask::new(&policy, (3, 3), Key::new(7), &device);
    ask.training = false;
    assert_eq!(values(mixed(ask.ask(&policy)).weights), [1.0 / 3.0; 3]);
}

/// A map by name, shape, weight `[in, out]` and bias.
type Given<'a> = (&'a str, [usize; 2], Vec<f32>, Option<f32>);

/// A router whose maps have given weights, `[in, out]`, and biases.
fn router(maps: &[Given<'_>], device: &Device) -> Option<Router> {
    let declared: Vec<Declared> = maps
        .iter()
        .map(|(name, [input, output], _, bias)| Declared {
            bias: bias.is_some(),
            ..Declared::new(name, *input, *output)
        })
        .collect();
    let router = Router::init(&declared, Key::new(1), device)?;
    let mut values = parameter::export(&router, |_| true);
    for (name, shape, weight, bias) in maps {
        let map = Linear::from_values(*shape, weight.clone(), None, device);
        let transposed = map
            .weight
            .val()
            .transpose()
            .into_data()
            .try_to_vec()
            .unwrap();
        values.get_mut(&format!("{name}.weight")).unwrap().values = transposed;
        if let Some(bias) = bias {
            values.get_mut(&format!("{name}.bias")).unwrap().values = vec![*bias];
        }
    }
    Some(parameter::assign(router, values).unwrap())
}

/// One example of two tokens of width 2, (1, 0) and (0, 1), so that the rows of a gate are its logits.
fn by_hand(policy: &dyn RoutingPolicy, router: Option<Router>, training: bool) -> Mixed {
    let device = Device::flex();
    let ask = Ask {
        examples: vec![5],
        input: Tensor::from_data([[[1f32, 0.0], [0.0, 1.0]]], &device),
        mask: Tensor::ones([1, 2], &device),
        router,
        training,
        ..Ask::new(policy, (3, 3), Key::new(7), &device)
    };
    mixed(ask.ask(policy))
}

fn assert_weights(mixed: &Mixed, expected: &[f32]) {
    let found = values(mixed.weights.clone());
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() < 1e-5, "{found:?} {expected:?}");
    }
}

/// Logits whose softmax is (1/2, 1/3, 1/6) for the first token and (1/8, 5/8, 2/8) for the second.
fn gate(device: &Device) -> Option<Router> {
    let logits = [3f32, 2.0, 1.0, 1.0, 5.0, 2.0].map(f32::ln).to_vec();
    router(&[("gate", [2, 3], logits, None)], device)
}

#[test]
fn formulas_by_hand() {
    let device = Device::flex();
    let dense = by_hand(&Dense::default(), gate(&device), true);
    assert_weights(&dense, &[0.5, 1.0 / 3.0, 1.0 / 6.0, 0.125, 0.625, 0.25]);
    assert_eq!(dense.mix, Mix::Outputs);
    assert!(dense.auxiliary.is_none());

    let top_k = TopK {
        k: 2,
        balance: 0.1,
        z: 0.0,
    };
    let found = by_hand(&top_k, gate(&device), true);
    assert_weights(&found, &[0.6, 0.4, 0.0, 0.0, 5.0 / 7.0, 2.0 / 7.0]);
    // f = (1/2, 1, 1/2), P = (5/16, 23/48, 5/24): 0.1 · 3 · (5/32 + 23/48 + 5/48).
    let expected = 0.3 * (5.0 / 32.0 + 23.0 / 48.0 + 5.0 / 48.0);
    let auxiliary = found.auxiliary.unwrap().into_scalar::<f32>();
    assert!(
        (auxiliary - expected).abs() < 1e-6,
        "{auxiliary} {expected}"
    );
    assert!(by_hand(&top_k, gate(&device), false).auxiliary.is_none());

    // 1/2 + 1/3 reach 0.6; 5/8 does alone.
    let top_p = TopP {
        p: 0.6,
        ..TopP::default()
    };
    let found = by_hand(&top_p, gate(&device), true);
    assert_weights(&found, &[0.6, 0.4, 0.0, 0.0, 1.0, 0.0]);

    // The mean input is (1/2, 1/2): logits are half the sums, (ln 3 + ln 1) / 2 and so on.
    let roots = [3f32, 10.0, 2.0].map(f32::sqrt);
    let shares = roots.map(|r| r / roots.iter().sum::<f32>());
    let smear = Smear {
        expert_dropout: 0.0,
    };
    let found = by_hand(&smear, gate(&device), true);
    assert_weights(&found, &shares);
    assert_eq!(found.mix, Mix::Parameters);

    // Threshold sigma(0) / 3 = 1/6 for both tokens: 1/3, 1/6 and 0 above it; 0, 11/24 and 1/12.
    let logits = [3f32, 2.0, 1.0, 1.0, 5.0, 2.0].map(f32::ln).to_vec();
    let maps = [
        ("gate", [2, 3], logits, None),
        ("threshold", [2, 1], vec![0.0; 2], Some(0.0)),
    ];
    let found = by_hand(&AdaMole::default(), router(&maps, &device), true);
    assert_weights(
        &found,
        &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, 11.0 / 13.0, 2.0 / 13.0],
    );

    // sigma(0) = 1/2 and sigma(ln 3) = 3/4 in the second row.
    let rows = vec![9.0, -9.0, 4.0, 0.0, 3f32.ln(), 0.0];
    let task = Task { tasks: 2, task: 1 };
    let found = by_hand(
        &task,
        router(&[("tasks", [2, 3], rows, None)], &device),
        true,
    );
    assert_weights(&found, &[2.0 / 7.0, 3.0 / 7.0, 2.0 / 7.0]);

    let found = by_hand(&Gumbel::default(), gate(&device), false);
    assert_weights(&found, &[0.0, 1.0, 0.0]);
}

#[test]
fn gumbel_draws_follow_the_softmax_and_its_gradient() {
    let device = Device::flex().autodiff();
    let policy = Gumbel::default();
    let logits = [3f32, 2.0, 1.0, 1.0, 5.0, 2.0].map(f32::ln).to_vec();
    let ask = |step| {
        let ask = Ask::new(&policy, (3, 3), Key::new(7), &device).at(step, 0);
        Ask {
            examples: vec![5],
            input: Tensor::from_data([[[1f32, 0.0], [1.0, 0.0]]], &device),
            mask: Tensor::ones([1, 2], &device),
            router: router(&[("gate", [2, 3], logits.clone(), None)], &device),
            ..ask
        }
    };
    let mut counts = [0f64; 3];
    for step in 0..3000 {
        let weights = values(mixed(ask(step).ask(&policy)).weights);
        assert!(
            weights
                .iter()
                .all(|w| w.abs() < 1e-6 || (w - 1.0).abs() < 1e-6)
        );
        for (count, weight) in counts.iter_mut().zip(weights) {
            *count += f64::from(weight.round());
        }
    }
    // The law of the first row, (1/2, 1/3, 1/6); 2 degrees of freedom: 13.82 is the 0.999 quantile.
    let statistic = chi_square(&counts, |i| 3000.0 * [0.5, 1.0 / 3.0, 1.0 / 6.0][i]);
    assert!(statistic < 13.82, "{statistic} {counts:?}");

    // In evaluation there is no noise: d w_0 / d logits is that of the softmax, p_0 (1 - p_0), -p_0 p_1, -p_0 p_2.
    let mut quiet = ask(0);
    quiet.training = false;
    let first = mixed(quiet.ask(&policy)).weights.narrow(2, 0, 1).sum();
    let mut tape = first.backward();
    let found = parameter::gradients(quiet.router.as_ref().unwrap(), &mut tape);
    let gradient = values(found["gate.weight"].clone());
    for (g, e) in gradient.iter().zip([0.25, -1.0 / 6.0, -1.0 / 12.0]) {
        assert!((g - e).abs() < 1e-5, "{gradient:?}");
    }
}

#[test]
fn smear_drops_experts_in_training_only() {
    let device = Device::flex();
    let policy = Smear {
        expert_dropout: 0.5,
    };
    let mut dropped = 0;
    for step in 0..200 {
        let mut ask = Ask::new(&policy, (4, 4), Key::new(7), &device).at(step, 0);
        let weights = values(mixed(ask.ask(&policy)).weights);
        dropped += weights.iter().filter(|w| **w == 0.0).count();
        ask.training = false;
        let weights = values(mixed(ask.ask(&policy)).weights);
        assert!(weights.iter().all(|w| *w > 0.0));
    }
    // 2,400 chances of a half, less those where all four would go.
    assert!((1040..1285).contains(&dropped), "{dropped}");
}

#[test]
fn options_reach_their_policies() {
    let options = Options::NONE
        .with("k", Value::Integer(1))
        .with("balance", Value::Number(0.5));
    let policy = POLICIES.make("top-k", &options).unwrap();
    assert!(
        format!("{policy:?}").contains("k: 1, balance: 0.5"),
        "{policy:?}"
    );
    let error = |name: &str, key: &str, value| {
        let options = Options::NONE.with(key, value);
        POLICIES.make(name, &options).unwrap_err().to_string()
    };
    assert!(error("top-k", "k", Value::Integer(0)).contains("option `k`"));
    assert!(error("task", "task", Value::Integer(1)).contains("no row of a table of 1"));
    assert!(error("stochastic", "k", Value::Integer(1)).contains("option `k`"));
    for name in POLICIES.names() {
        let policy = POLICIES.make(name, &Options::NONE).unwrap();
        assert_eq!(policy.name(), name);
    }
}
