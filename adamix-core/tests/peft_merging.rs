//! Merging rules against `add_weighted_adapter` of Python's `peft` (`tools/merge_reference.py`).

use std::collections::BTreeMap;

use adamix_core::linear::Linear;
use adamix_core::merging::{
    Concatenation, Election, Magnitude, MergeRule, Pair, Product, Ties, Uniform,
};
use burn::tensor::Device;
use serde::Deserialize;

/// Row-major, as `peft` has it: A `[rank, in]`, B `[out, rank]`.
type Matrix = Vec<Vec<f32>>;

#[derive(Deserialize)]
struct Reference {
    scale: f32,
    experts: Vec<Factors>,
    cases: BTreeMap<String, Merged>,
}

#[derive(Deserialize)]
struct Factors {
    a: Matrix,
    b: Matrix,
}

#[derive(Deserialize)]
struct Merged {
    a: Matrix,
    b: Matrix,
    update: Matrix,
}

fn transposed(matrix: &Matrix) -> Matrix {
    (0..matrix[0].len())
        .map(|j| matrix.iter().map(|row| row[j]).collect())
        .collect()
}

fn linear(matrix: &Matrix) -> Linear {
    let shape = [matrix[0].len(), matrix.len()];
    let values = transposed(matrix).concat();
    Linear::from_values(shape, values, None, &Device::flex())
}

fn assert_close(found: &[f32], matrix: &Matrix, factor: f32, what: &str) {
    let expected = transposed(matrix).concat();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let found = found * factor;
        assert!(
            (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
            "{what}: {found} {expected}"
        );
    }
}

#[test]
fn rules_merge_as_peft_does() {
    let text = include_str!("fixtures/peft_merging.json");
    let reference: Reference = serde_json::from_str(text).unwrap();
    let down: Vec<Linear> = reference.experts.iter().map(|e| linear(&e.a)).collect();
    let up: Vec<Linear> = reference.experts.iter().map(|e| linear(&e.b)).collect();
    let pair = Pair {
        module: "map.adamix",
        down: &down,
        up: &up,
        linear: true,
    };
    let ties = |density, election| Ties { density, election };
    let rules: [(&str, &dyn MergeRule); 6] = [
        ("linear", &Uniform {}),
        ("cat", &Concatenation {}),
        ("svd", &Product::default()),
        ("ties_total", &ties(0.4, Election::Total)),
        ("ties_frequency", &ties(0.6, Election::Frequency)),
        ("magnitude_prune", &Magnitude { density: 0.5 }),
    ];
    assert_eq!(rules.len(), reference.cases.len());
    let experts = reference.experts.len() as f32;
    for (name, rule) in rules {
        let theirs = &reference.cases[name];
        let [down, up] = rule.merge_pair(&pair).unwrap();
        // `peft` puts the square root of weight times scale on each factor and sums, where ours is a mean
        // and the module keeps the scale.
        let factor = match name {
            "linear" | "magnitude_prune" => Some((reference.scale * experts).sqrt()),
            "ties_total" | "ties_frequency" => Some((reference.scale / experts).sqrt()),
            _ => None,
        };
        let product = down.weight.val().matmul(up.weight.val());
        let product: Vec<f32> = product.into_data().try_to_vec().unwrap();
        let on_update = factor.map_or(reference.scale, |factor| factor * factor);
        assert_close(&product, &theirs.update, on_update, name);
        if let Some(factor) = factor {
            assert_close(&down.weight_values(), &theirs.a, factor, name);
            assert_close(&up.weight_values(), &theirs.b, factor, name);
        }
    }
}
