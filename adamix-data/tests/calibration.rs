//! Calibration beside scikit-learn (`tools/make_uncertainty_fixture.py`).

use adamix_data::metrics::{calibration_error, reliability};
use serde_json::Value;

#[test]
fn bins_and_error_are_those_of_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("fixtures/calibration.json")).unwrap();
    let numbers = |key: &str| -> Vec<f64> {
        let values = golden[key].as_array().unwrap().iter();
        values.map(|v| v.as_f64().unwrap()).collect()
    };
    let right = numbers("right").into_iter().map(|r| r == 1.0);
    let rows: Vec<(f64, bool)> = numbers("confidence").into_iter().zip(right).collect();
    let bins = reliability(&rows, golden["bins"].as_u64().unwrap() as usize);
    let counts: Vec<f64> = bins.iter().map(|bin| bin.rows as f64).collect();
    assert_eq!(counts, numbers("counts"));
    let close = |found: Vec<f64>, expected: Vec<f64>| {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.into_iter().zip(expected) {
            assert!((f - e).abs() < 1e-8, "{f} {e}");
        }
    };
    close(
        bins.iter().filter_map(|b| b.accuracy).collect(),
        numbers("accuracies"),
    );
    close(
        bins.iter().filter_map(|b| b.confidence).collect(),
        numbers("confidences"),
    );
    let error = golden["error"].as_f64().unwrap();
    assert!((calibration_error(&bins).unwrap() - error).abs() < 1e-9);
}
