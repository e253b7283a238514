//! What learned policies make of given parameters, by hand.

use super::*;
use crate::linear::Linear;
use crate::parameter;

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
    by_hand_with([1.0, 1.0], policy, router, training)
}

/// The same under a mask.
fn by_hand_with(
    mask: [f32; 2],
    policy: &dyn RoutingPolicy,
    router: Option<Router>,
    training: bool,
) -> Mixed {
    let device = Device::flex();
    let ask = Ask {
        examples: vec![5],
        input: Tensor::from_data([[[1f32, 0.0], [0.0, 1.0]]], &device),
        mask: Tensor::from_data([mask], &device),
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
    // Switch: the one expert's output times its own probability.
    let switch = TopK { k: 1, ..top_k };
    let one = by_hand(&switch, gate(&device), true);
    assert_weights(&one, &[0.5, 0.0, 0.0, 0.0, 0.625, 0.0]);
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
    // With the second token padding, the mean input is the first token.
    let found = by_hand_with([1.0, 0.0], &smear, gate(&device), true);
    assert_weights(&found, &[0.5, 1.0 / 3.0, 1.0 / 6.0]);

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
