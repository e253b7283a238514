//! The uncertainty of several paths beside NumPy (`tools/make_uncertainty_fixture.py`).

use adamix_core::ensemble::{mean_log_probabilities, uncertainty};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap().iter();
    values.map(|v| v.as_f64().unwrap() as f32).collect()
}

fn assert_close<const D: usize>(found: Tensor<D>, expected: &Value) {
    let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.into_iter().zip(expected) {
        assert!((f - e).abs() < 2e-6, "{f} {e}");
    }
}

#[test]
fn entropy_and_mutual_information_are_those_of_numpy() {
    let golden: Value = serde_json::from_str(include_str!("fixtures/uncertainty.json")).unwrap();
    let classes = golden["classes"].as_u64().unwrap() as usize;
    let path = |logits: &Value| -> Tensor<2> {
        let logits = numbers(logits);
        let shape = [logits.len() / classes, classes];
        Tensor::from_data(TensorData::new(logits, shape), &Device::flex())
    };
    let paths: Vec<Tensor<2>> = golden["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(path)
        .collect();
    let found = uncertainty(&paths);
    assert_close(found.entropy, &golden["entropy"]);
    assert_close(found.mutual_information, &golden["mutual_information"]);
    assert_close(mean_log_probabilities(paths).exp(), &golden["mean"]);
}
