//! How uncertain an ensemble says it is.

use std::path::Path;

use crate::fixture::Fixture;
use crate::{json, number, text};

/// The ensemble's uncertainty, taken anew from the logits of its experts.
pub fn are_those_of_the_experts(fixture: &Fixture, run: &Path, experts: &[Vec<f64>]) {
    let measured = json(&["evaluate", text(run), "--inference", "ensemble"]);
    let certainty = &measured["certainty"];
    assert_eq!(certainty["reliability"].as_array().unwrap().len(), 15);
    let rows = std::fs::read_to_string(fixture.data().join("dev.tsv")).unwrap();
    let is_class_1 = rows
        .lines()
        .skip(1)
        .map(|row| row.ends_with("\tnot_entailment"));
    let entropy = |p: [f64; 2]| -p.iter().map(|p| p * p.ln()).sum::<f64>();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mut all, mut shared, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (row, is_class_1) in is_class_1.enumerate() {
        let logits = |expert: &Vec<f64>| [expert[2 * row], expert[2 * row + 1]];
        let softmax = |[a, b]: [f64; 2]| [1.0 / (1.0 + (b - a).exp()), 1.0 / (1.0 + (a - b).exp())];
        let each: Vec<[f64; 2]> = experts.iter().map(|e| softmax(logits(e))).collect();
        let whole = entropy([0, 1].map(|j| mean(&each.iter().map(|p| p[j]).collect::<Vec<_>>())));
        let own = mean(&each.iter().map(|p| entropy(*p)).collect::<Vec<_>>());
        all.push(whole);
        shared.push(whole - own);
        let sums = [0, 1].map(|j| experts.iter().map(|e| logits(e)[j]).sum::<f64>());
        if (sums[1] > sums[0]) != is_class_1 {
            wrong.push(whole);
        }
    }
    assert!(!wrong.is_empty() && wrong.len() < all.len());
    for (name, values) in [
        ("entropy", &all),
        ("mutual_information", &shared),
        ("entropy_where_wrong", &wrong),
    ] {
        let told = number(certainty, &[name]);
        assert!(
            (told - mean(values)).abs() < 1e-4,
            "{name}: {told} {}",
            mean(values)
        );
    }
}
