//! The diagonal of each expert's Fisher information.

use std::collections::BTreeMap;

use adamix_core::objective::Targets;
use adamix_core::parameter::{self, ParameterInfo};
use adamix_keys::Key;
use anyhow::Result;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use super::candidates::{Candidates, Parameter};
use super::rows::Rows;

/// By parameter and expert, as [`Fisher`](adamix_core::merging::Fisher) looks it up: the mean over the rows of
/// the squared gradient of the log-likelihood of an answer that the expert itself would give.
///
/// Matena and Raffel take the expectation over all answers; here one is drawn for each row and expert, from a
/// key. For a regression (a Gaussian of variance 1) the expectation is the squared gradient of the output.
///
/// # Errors
/// If a row cannot be answered.
pub fn information<R: Rows>(
    candidates: &Candidates<R::Model>,
    rows: &R,
    key: Key,
    watch: &dyn Fn(u64),
) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut information = BTreeMap::new();
    for (i, expert) in candidates.experts.iter().enumerate() {
        let mut sums: BTreeMap<String, Tensor<1>> = BTreeMap::new();
        for batch in rows.batches(1) {
            let answer = rows.answer(expert, &batch, None)?;
            let key = key.fold(i as u64).fold(u64::from(batch[0]));
            let likelihood = match &answer.targets {
                Targets::Scores(_) => answer.logits.sum(),
                Targets::Classes(_) => {
                    let drawn = draw(answer.logits.clone(), key);
                    let count = drawn.len() as f64;
                    Targets::Classes(drawn).loss(answer.logits) * count
                }
            };
            let mut tape = likelihood.backward();
            for (name, gradient) in parameter::gradients(expert, &mut tape) {
                let square = gradient.square();
                let sum = match sums.remove(&name) {
                    Some(sum) => sum + square,
                    None => square,
                };
                sums.insert(name, sum);
            }
            watch(1);
        }
        for info in parameter::parameters(expert) {
            let Some(sum) = sums.remove(&info.name) else {
                continue;
            };
            let data = (sum / rows.count() as f64).into_data().convert::<f32>();
            let values: Vec<f32> = data.try_into_vec().expect("f32 values");
            let parameter = Parameter::of(&info.name);
            let values = match parameter.is_of_bank() {
                true => values,
                false => in_file_layout(&info, values),
            };
            information.insert(parameter.place().in_expert(i), values);
        }
    }
    Ok(information)
}

/// One answer a row, by the expert's own probabilities.
fn draw(logits: Tensor<2>, key: Key) -> Vec<u32> {
    let [rows, classes] = logits.dims();
    let shares = softmax(logits.without_autodiff(), 1);
    let data: TensorData = shares.into_data().convert::<f32>();
    let shares: Vec<f32> = data.try_into_vec().expect("f32 values");
    (0..rows)
        .map(|row| {
            let mut left = key.fold(row as u64).uniform();
            let shares = &shares[row * classes..(row + 1) * classes];
            let drawn = shares.iter().position(|share| {
                left -= f64::from(*share);
                left < 0.0
            });
            drawn.unwrap_or(classes - 1) as u32
        })
        .collect()
}

/// Values of a parameter in memory as files have them: a map's weight is `[in, out]` in memory.
pub(super) fn in_file_layout(info: &ParameterInfo, values: Vec<f32>) -> Vec<f32> {
    match (info.owner.as_str(), info.shape.as_slice()) {
        ("Linear", [output, input]) => (0..output * input)
            .map(|k| values[(k % input) * output + k / input])
            .collect(),
        _ => values,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn answers_are_drawn_by_their_probabilities() {
        let logits = Tensor::<2>::from_data([[3f32.ln(), 0.0, -100.0]], &Device::flex());
        let logits = logits.repeat_dim(0, 4000);
        let drawn = draw(logits, Key::new(1));
        let count = |class| drawn.iter().filter(|d| **d == class).count();
        // 3/4 of 4,000, within four standard deviations of 27.4.
        assert!(count(0).abs_diff(3000) < 110, "{}", count(0));
        assert_eq!(count(2), 0);
    }

    #[test]
    fn weights_are_transposed() {
        let info = ParameterInfo {
            name: "classifier.weight".to_owned(),
            shape: vec![2, 3],
            trainable: true,
            owner: "Linear".to_owned(),
        };
        // [in = 3, out = 2] in memory.
        let memory = vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        assert_eq!(
            in_file_layout(&info, memory),
            [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]
        );
    }
}
