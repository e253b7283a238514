//! Two banks with something between, run along a decision: what every two-sided mixture does.

use burn::tensor::Tensor;

use crate::bank::Bank;
use crate::routing::{Decision, Mix};

/// Down, `between`, and up again.
///
/// A choice runs the experts that it names, and only those. Weights on parameters mix each side before it
/// runs. Weights on outputs run all experts, `Σ w_i up_i(between(down_i(x)))`: the downs side by side as one
/// product, and the ups as another, so that no expert's output is ever held alone. `between` sees the
/// experts' bottlenecks side by side and must act on each value by itself.
///
/// # Shapes
/// - `x`: `[batch, tokens, in]`
/// - output: `[batch, tokens, out]`
pub fn run(
    down: &Bank,
    up: &Bank,
    x: Tensor<3>,
    decision: &Decision,
    between: impl Fn(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let mixed = match decision {
        Decision::Experts { down: d, up: u } => {
            return up.forward(between(down.forward(x, d)), u);
        }
        Decision::Mixed(mixed) => mixed,
    };
    let weights = mixed.weights.clone();
    match mixed.mix {
        Mix::Parameters => {
            let inner = between(down.mixed(x, weights.clone()));
            up.mixed(inner, weights)
        }
        Mix::Outputs => {
            let inner = between(down.all(x));
            let [batch, tokens, wide] = inner.dims();
            let parts = inner.reshape([batch, tokens, down.len(), wide / down.len()]);
            up.gathered(parts * weights.clone().unsqueeze_dim(3), weights)
        }
    }
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::random::Initializer;
    use crate::routing::Choice;

    const BATCH: usize = 2;
    const TOKENS: usize = 3;

    struct Case {
        down: Bank,
        up: Bank,
        x: Tensor<3>,
    }

    impl Case {
        /// Mixtures of three experts, one with both sides of its own, two with a shared side.
        fn all(device: &Device) -> [Self; 3] {
            [(3, 3), (3, 1), (1, 3)].map(|(down, up)| {
                let bank = |count, shape, name: &str| {
                    let key = Key::new(1).purpose(name);
                    let mut bank = Bank::init(count, shape, Initializer::Normal(1.0), key, device);
                    for (i, expert) in bank.experts.iter_mut().enumerate() {
                        let bias = Initializer::Normal(1.0).sample(key.fold(i as u64), shape[1]);
                        *expert = expert.with_values(shape, expert.weight_values(), Some(bias));
                    }
                    bank
                };
                let x = Initializer::Normal(1.0).sample(Key::new(2), BATCH * TOKENS * 6);
                Self {
                    down: bank(down, [6, 2], "down"),
                    up: bank(up, [2, 6], "up"),
                    x: Tensor::from_data(TensorData::new(x, [BATCH, TOKENS, 6]), device),
                }
            })
        }

        fn run(&self, decision: &Decision) -> Tensor<3> {
            run(&self.down, &self.up, self.x.clone(), decision, |x| x.tanh())
        }

        fn expert(&self, i: usize) -> Tensor<3> {
            self.run(&Decision::diagonal(i, self.down.len(), self.up.len()))
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn assert_close<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
        for (a, b) in values(a).into_iter().zip(values(b)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    /// Weights that add up to 1 over three experts.
    fn weights(batch: usize, tokens: usize, device: &Device) -> Tensor<3> {
        let logits = Initializer::Normal(1.0).sample(Key::new(3), batch * tokens * 3);
        let logits = Tensor::<3>::from_data(TensorData::new(logits, [batch, tokens, 3]), device);
        burn::tensor::activation::softmax(logits, 2)
    }

    #[test]
    fn weights_on_outputs_mix_what_the_experts_give() {
        let device = Device::flex();
        for case in Case::all(&device) {
            for (batch, tokens) in [(1, 1), (BATCH, 1), (BATCH, TOKENS)] {
                let weights = weights(batch, tokens, &device);
                let expected = (0..3)
                    .map(|i| case.expert(i) * weights.clone().narrow(2, i, 1))
                    .reduce(|a, b| a + b)
                    .unwrap();
                let decision = Decision::mixed(weights, Mix::Outputs);
                assert_close(case.run(&decision), expected);
            }
        }
    }

    #[test]
    fn weights_on_parameters_mix_the_projections() {
        let device = Device::flex();
        for case in Case::all(&device) {
            for (batch, tokens) in [(1, 1), (BATCH, 1), (BATCH, TOKENS)] {
                let weights = weights(batch, tokens, &device);
                let found = case.run(&Decision::mixed(weights.clone(), Mix::Parameters));
                for b in 0..BATCH {
                    for t in 0..TOKENS {
                        let row = weights.clone().narrow(0, b % batch, 1);
                        let row = values(row.narrow(1, t % tokens, 1));
                        let side = |bank: &Bank, x: Tensor<3>| {
                            let parts = bank.experts.iter().enumerate().map(|(i, expert)| {
                                let weight = if bank.len() == 1 { 1.0 } else { row[i] };
                                expert.forward(x.clone()) * weight
                            });
                            parts.reduce(|a, b| a + b).unwrap()
                        };
                        let x = case.x.clone().narrow(0, b, 1).narrow(1, t, 1);
                        let expected = side(&case.up, side(&case.down, x).tanh());
                        assert_close(found.clone().narrow(0, b, 1).narrow(1, t, 1), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn a_choice_for_each_token_or_example_runs_that_expert() {
        let device = Device::flex();
        for case in Case::all(&device) {
            let per_token = [vec![0, 2, 1], vec![1, 1, 0]];
            let clamp = |side: &Bank| {
                let row = |row: &Vec<usize>| row.iter().map(|e| e % side.len()).collect();
                Choice::PerToken(per_token.iter().map(row).collect())
            };
            let found = case.run(&Decision::Experts {
                down: clamp(&case.down),
                up: clamp(&case.up),
            });
            for (b, row) in per_token.iter().enumerate() {
                for (t, expert) in row.iter().enumerate() {
                    let at = |y: Tensor<3>| y.narrow(0, b, 1).narrow(1, t, 1);
                    assert_close(at(found.clone()), at(case.expert(*expert)));
                }
            }
            let choice = |side: &Bank| Choice::PerExample(vec![2 % side.len(), 0]);
            let found = case.run(&Decision::Experts {
                down: choice(&case.down),
                up: choice(&case.up),
            });
            for (b, expert) in [2, 0].into_iter().enumerate() {
                assert_close(
                    found.clone().narrow(0, b, 1),
                    case.expert(expert).narrow(0, b, 1),
                );
            }
        }
    }

    #[test]
    fn a_choice_for_the_batch_touches_no_other_expert() {
        let device = Device::flex().autodiff();
        for case in Case::all(&device) {
            let gradients = case.expert(1).sum().backward();
            for bank in [&case.down, &case.up] {
                for (i, expert) in bank.experts.iter().enumerate() {
                    let found = expert.weight.val().grad(&gradients).is_some();
                    assert_eq!(found, bank.len() == 1 || i == 1);
                }
            }
        }
    }
}
