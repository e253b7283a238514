//! The mean of the experts' products, cut to a rank by its singular values.

use nalgebra::DMatrix;
use serde::Deserialize;

use super::{MergeError, MergeRule, Pair, Place};
use crate::linear::Linear;
use crate::options::{OptionError, is_size};

/// The best approximation of rank `rank` to the mean of the products `A_i B_i` of low-rank experts (`svd`
/// of Python's `peft` with weights `1 / M`).
///
/// Biases, where there are some, become one on the up side: what the experts give for zeros, in the mean.
///
/// What it computes is invariant to the experts' order and the identity for one expert; it equals the mean
/// of the products where that has no higher rank: with one side shared, or from rank `M r` on. (Averaging
/// factors is the mean over all `M²` pairs of a down and an up; this is the mean over the `M` experts.)
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Product {
    /// The rank that stays; 0 for that of the experts.
    pub rank: usize,
}

impl MergeRule for Product {
    fn name(&self) -> &str {
        "product-svd"
    }

    fn combine(&self, _experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        Err(MergeError::BothSides {
            rule: self.name().to_owned(),
            module: place.module.to_owned(),
        })
    }

    fn check(&self) -> Result<(), OptionError> {
        is_size("rank", self.rank)
    }

    fn merge_pair(&self, pair: &Pair<'_>) -> Result<[Linear; 2], MergeError> {
        if !pair.linear {
            return Err(MergeError::NotLinear {
                rule: self.name().to_owned(),
                module: pair.module.to_owned(),
            });
        }
        let own = pair.down[0].shape()[1];
        let rank = if self.rank == 0 { own } else { self.rank };
        let [down, up] = truncated(pair, rank)?;
        let rows = |m: &DMatrix<f64>| m.transpose().iter().map(|v| *v as f32).collect();
        // What the maps add to their products goes into the second one, where it is exact.
        let [below, above] = match pair.down[0].bias.is_some() || pair.up[0].bias.is_some() {
            true => [Some(vec![0.0; rank]), Some(mean_offset(pair))],
            false => [None, None],
        };
        Ok([
            pair.down[0].with_values([down.nrows(), rank], rows(&down), below),
            pair.up[0].with_values([rank, up.ncols()], rows(&up), above),
        ])
    }
}

/// What the experts give for an input of zeros, in the mean: `a_i B_i + b_i`.
fn mean_offset(pair: &Pair<'_>) -> Vec<f32> {
    let count = pair.experts();
    let bias = |map: &Linear| {
        let values = map.bias_values().unwrap_or(vec![0.0; map.shape()[1]]);
        DMatrix::from_row_iterator(1, values.len(), values.into_iter().map(f64::from))
    };
    let offsets = (0..count)
        .map(|i| pair.expert(i))
        .map(|(down, up)| bias(down) * matrix(up) + bias(up));
    let sum = offsets.reduce(|a, b| a + b).expect("a pair has experts");
    sum.iter().map(|v| (v / count as f64) as f32).collect()
}

/// The two factors of the mean product at a rank. No matrix of the full map's size is formed: the factors
/// of all experts, side by side, are reduced to their triangles first.
fn truncated(pair: &Pair<'_>, rank: usize) -> Result<[DMatrix<f64>; 2], MergeError> {
    let count = pair.experts();
    let (downs, ups): (Vec<_>, Vec<_>) = (0..count)
        .map(|i| pair.expert(i))
        .map(|(down, up)| (matrix(down), matrix(up).transpose()))
        .unzip();
    let (down, up) = (side_by_side(&downs).qr(), side_by_side(&ups).qr());
    let core = down.r() * up.r().transpose() / count as f64;
    // The decomposition would not end.
    if core.iter().any(|value| !value.is_finite()) {
        return Err(MergeError::NotFinite(pair.module.to_owned()));
    }
    let svd = core.svd(true, true);
    let (left, right) = (
        svd.u.expect("left vectors were asked for"),
        svd.v_t.expect("right vectors were asked for"),
    );
    let kept = rank.min(svd.singular_values.len());
    let root = DMatrix::from_fn(kept, rank, |i, j| {
        if i == j {
            svd.singular_values[i].sqrt()
        } else {
            0.0
        }
    });
    Ok([
        down.q() * left.columns(0, kept) * &root,
        root.transpose() * right.rows(0, kept) * up.q().transpose(),
    ])
}

/// The weight of a map, `[in, out]`.
pub(super) fn matrix(linear: &Linear) -> DMatrix<f64> {
    let [rows, columns] = linear.shape();
    let values = linear.weight_values();
    DMatrix::from_row_iterator(rows, columns, values.into_iter().map(f64::from))
}

pub(super) fn side_by_side(matrices: &[DMatrix<f64>]) -> DMatrix<f64> {
    let columns = matrices.iter().flat_map(|m| m.column_iter());
    DMatrix::from_columns(&columns.collect::<Vec<_>>())
}
