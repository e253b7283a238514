//! Holm's correction of a family of tests.

/// The adjusted p-values, in the order given: sorted, the k-th of n is multiplied by n - k, never falls below its
/// predecessor, and stops at 1.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0f64;
    for (k, i) in order.into_iter().enumerate() {
        least = least.max((p.len() - k) as f64 * p[i]).min(1.0);
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equals_statsmodels() {
        // multipletests([...], method="holm")
        let found = holm(&[0.01, 0.04, 0.03, 0.005, 0.6]);
        for (a, b) in found.into_iter().zip([0.04, 0.09, 0.09, 0.025, 0.6]) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn no_p_falls_and_their_order_stays(p in prop::collection::vec(0.0f64..=1.0, 0..12)) {
            let found = holm(&p);
            for i in 0..p.len() {
                prop_assert!(found[i] >= p[i] && found[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] >= p[j] || found[i] <= found[j]);
                }
            }
        }
    }
}
