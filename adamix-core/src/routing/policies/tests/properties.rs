//! What every policy must be: valid, a function of its key, blind to an example's place, differentiable.

use proptest::prelude::*;

use super::*;
use crate::parameter;

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
    fn a_policy_is_tied_if_down_i_only_ever_meets_up_i(seed: u64) {
        let device = Device::flex();
        for policy in all() {
            let mut pairs = (0..48).map(|step| {
                let ask = Ask::new(policy.as_ref(), (4, 4), Key::new(seed), &device).at(step, step % 2);
                match ask.ask(policy.as_ref()) {
                    Decision::Experts { down, up } => down == up,
                    Decision::Mixed(mixed) => mixed.mix == Mix::Outputs,
                }
            });
            prop_assert_eq!(policy.is_tied(), pairs.all(|is_pair| is_pair), "{}", policy.name());
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
        let (mut checked, mut tried) = (0, 0);
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
        }
        prop_assert!(2 * checked >= tried, "{} of {}", checked, tried);
    }
}
