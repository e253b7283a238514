//! How far a product of merged factors is from the mean of the experts' products.

use nalgebra::DMatrix;

use super::Pair;
use super::product::{matrix, side_by_side};
use crate::linear::Linear;

/// The Frobenius norms that tell what merging the factors of linear experts costs.
///
/// With one side shared the mean of the products *is* the product of the means: `mean(A_i B) = mean(A_i) B`.
/// With nothing shared they differ by the covariance of the factors over the experts. (Averaging factors is
/// always the mean over all `M²` pairs of a down and an up, as routing that draws both sides apart trains them.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductGap {
    /// Of the mean of the experts' products.
    pub mean: f64,
    /// Of the difference between the merged product and that mean.
    pub distance: f64,
}

impl ProductGap {
    /// Measures the factors `[down, up]` that a rule made of linear experts. No product is formed: the factors,
    /// side by side, are reduced to their triangles.
    pub fn of(experts: &Pair<'_>, merged: [&Linear; 2]) -> Self {
        let count = experts.experts();
        let share = 1.0 / count as f64;
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        for i in 0..count {
            let (down, up) = experts.expert(i);
            downs.push(matrix(down));
            ups.push(matrix(up).transpose() * share);
        }
        let mean = norm(&downs, &ups);
        downs.push(matrix(merged[0]));
        ups.push(-matrix(merged[1]).transpose());
        Self {
            mean,
            distance: norm(&downs, &ups),
        }
    }

    /// The distance relative to the mean's norm; 0 where both are.
    pub fn relative(&self) -> f64 {
        match self.distance {
            0.0 => 0.0,
            distance => distance / self.mean,
        }
    }
}

/// The norm of `Σ D_i U_i^T`.
fn norm(downs: &[DMatrix<f64>], ups: &[DMatrix<f64>]) -> f64 {
    let (down, up) = (side_by_side(downs).qr().r(), side_by_side(ups).qr().r());
    (down * up.transpose()).norm()
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;
    use burn::tensor::Device;

    use super::*;
    use crate::merging::{MergeRule, Product, Uniform};
    use crate::random::Initializer;

    fn gap(rule: &dyn MergeRule, down: &[Linear], up: &[Linear]) -> ProductGap {
        let pair = Pair {
            module: "adamix",
            down,
            up,
            linear: true,
        };
        let [d, u] = rule.merge_pair(&pair).unwrap();
        ProductGap::of(&pair, [&d, &u])
    }

    fn map(shape: [usize; 2], values: &[f32]) -> Linear {
        Linear::from_values(shape, values.to_vec(), None, &Device::flex())
    }

    #[test]
    fn a_gap_by_hand() {
        // Products 1 · 3 and 5 · 7 at rank 1: mean 19, product of means 3 · 5 = 15.
        let found = gap(
            &Uniform {},
            &[map([1, 1], &[1.0]), map([1, 1], &[5.0])],
            &[map([1, 1], &[3.0]), map([1, 1], &[7.0])],
        );
        assert!((found.mean - 19.0).abs() < 1e-12 && (found.distance - 4.0).abs() < 1e-12);
        assert!((found.relative() - 4.0 / 19.0).abs() < 1e-12);
    }

    #[test]
    fn one_shared_side_leaves_no_gap_and_none_the_true_one() {
        let draw = |name: &str, shape: [usize; 2], i: u64| {
            let key = Key::new(3).purpose(name).fold(i);
            map(
                shape,
                &Initializer::Normal(1.0).sample(key, shape[0] * shape[1]),
            )
        };
        let downs: Vec<Linear> = (0..4).map(|i| draw("down", [24, 3], i)).collect();
        let ups: Vec<Linear> = (0..4).map(|i| draw("up", [3, 17], i)).collect();
        for (down, up) in [(&downs[..], &ups[..1]), (&downs[..1], &ups[..])] {
            let found = gap(&Uniform {}, down, up);
            assert!(found.relative() < 1e-6, "{found:?}");
            assert!(gap(&Product::default(), down, up).relative() < 1e-6);
        }
        // Against the products written out.
        let found = gap(&Uniform {}, &downs, &ups);
        let mean = |side: &[Linear]| -> DMatrix<f64> {
            side.iter().map(matrix).reduce(|a, b| a + b).unwrap() / 4.0
        };
        let products = downs.iter().zip(&ups).map(|(d, u)| matrix(d) * matrix(u));
        let products = products.reduce(|a, b| a + b).unwrap() / 4.0;
        let distance = (&products - mean(&downs) * mean(&ups)).norm();
        assert!(
            (found.distance - distance).abs() < 1e-5 * distance,
            "{found:?} {distance}"
        );
        assert!((found.mean - products.norm()).abs() < 1e-9 * found.mean);
        // The best of rank 3 is nearer, and not at zero either.
        let best = gap(&Product::default(), &downs, &ups);
        assert!(best.distance < found.distance && best.relative() > 0.1);
    }
}
