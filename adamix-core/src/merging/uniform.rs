//! AdaMix's merging (paper §3.3): the mean of the experts' weights and biases.

use burn::module::Param;
use burn::tensor::Tensor;

use super::MergeRule;
use crate::linear::Linear;

/// The mean of all experts: invariant to their order, the identity for one expert.
#[derive(Clone, Copy, Debug)]
pub struct Uniform;

impl MergeRule for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn merge(&self, experts: &[Linear]) -> Linear {
        let trained = experts[0].weight.is_require_grad();
        let merged = |tensor| Param::from_tensor(tensor).set_require_grad(trained);
        let biases: Vec<_> = experts
            .iter()
            .filter_map(|e| e.bias.as_ref())
            .map(Param::val)
            .collect();
        Linear {
            weight: merged(mean(experts.iter().map(|e| e.weight.val()).collect())),
            bias: (!biases.is_empty())
                .then(|| Param::from_tensor(mean(biases)).set_require_grad(trained)),
        }
    }
}

fn mean<const D: usize>(tensors: Vec<Tensor<D>>) -> Tensor<D> {
    let count = tensors.len() as f64;
    let sum = tensors.into_iter().map(Tensor::detach).reduce(|a, b| a + b);
    sum.expect("a bank has at least one expert") / count
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::random::Initializer;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn is_the_mean_whatever_the_order(count in 1usize..6, rows in 1usize..9, columns in 1usize..9, seed: u64) {
            let device = Device::flex();
            let key = Key::new(seed);
            let mut experts: Vec<_> = (0..count)
                .map(|i| {
                    let sample = |name, n| Initializer::Normal(1.0).sample(key.fold(i as u64).purpose(name), n);
                    Linear::from_values([rows, columns], sample("w", rows * columns), Some(sample("b", columns)), &device)
                })
                .collect();
            let values = |l: &Linear| l.weight.val().into_data().try_to_vec::<f32>().unwrap();
            let mut expected = vec![0f64; rows * columns];
            for expert in &experts {
                for (e, v) in expected.iter_mut().zip(values(expert)) {
                    *e += f64::from(v) / count as f64;
                }
            }
            let merged = values(&Uniform.merge(&experts));
            experts.reverse();
            let reversed = values(&Uniform.merge(&experts));
            for ((m, r), e) in merged.iter().zip(&reversed).zip(&expected) {
                prop_assert!((f64::from(*m) - e).abs() < 1e-6 && (m - r).abs() < 1e-6);
            }
        }
    }
}
