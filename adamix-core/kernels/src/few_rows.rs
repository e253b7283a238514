//! Products of a few rows with a large weight, such as a step of decoding has them.
//!
//! The time is that of reading the weight once. A general product packs it first, which reads it twice and
//! writes it once more; here it is read in place, in the order in which it lies.

use crate::gemm::Matrix;
use crate::math::fma;
use crate::simd::multiversion;
use rayon::prelude::*;
use std::borrow::Cow;

/// The most rows that are few.
pub(crate) const MOST: usize = 32;

/// Columns of the result that one task computes.
const STRIPE: usize = 64;
/// Columns that are summed in registers at a time, where the weight lies row by row.
const WIDTH: usize = 16;
/// Rows of the weight between two stores of the sums.
const DEPTH: usize = 16;
/// Values of a scalar product that are summed at a time, where the weight lies column by column.
const LANES: usize = 8;
/// Rows of `x` that share one reading of the weight from the cache.
const BLOCK: usize = 5;
/// Products below which a call stays on its thread: waking another costs more.
const SERIAL: usize = 1 << 20;

/// Whether [`multiply`] can take these operands.
pub(crate) fn serves(rows: usize, weight: &Matrix<'_>) -> bool {
    rows <= MOST && (weight.column_stride() == 1 || weight.row_stride() == 1)
}

/// `out = x w + bias`; `x` and `out` are in row-major order. A sum's order depends on the shapes alone.
///
/// # Panics
/// If the shapes do not fit, or [`serves`] is false.
pub(crate) fn multiply(out: &mut [f32], x: &[f32], weight: Matrix<'_>, bias: Option<&[f32]>) {
    let (depth, columns) = (weight.rows(), weight.columns());
    if columns == 0 {
        return;
    }
    let rows = out.len() / columns;
    assert!(
        out.len() == rows * columns && x.len() == rows * depth,
        "a product's shapes"
    );
    assert!(serves(rows, &weight), "a product of few rows");
    let in_rows = weight.column_stride() == 1;
    let x = if in_rows {
        Cow::from(interleaved(x, depth))
    } else {
        Cow::from(x)
    };
    let x = &x[..];
    // Stripe by stripe, so that a task's results lie together.
    let mut stripes = vec![0f32; columns.div_ceil(STRIPE) * STRIPE * rows];
    let task = |(stripe, sums): (usize, &mut [f32])| {
        let first = stripe * STRIPE;
        let width = STRIPE.min(columns - first);
        if let Some(bias) = bias {
            for sums in sums.chunks_exact_mut(STRIPE) {
                sums[..width].copy_from_slice(&bias[first..first + width]);
            }
        }
        let data = weight.starting_at(first);
        if depth == 0 {
        } else if in_rows {
            by_rows(sums, x, data, depth, weight.row_stride(), width);
        } else {
            by_columns(sums, x, data, depth, weight.column_stride(), width);
        }
    };
    let serial = rows * depth * columns < SERIAL;
    let size = STRIPE * rows;
    if serial {
        stripes.chunks_exact_mut(size).enumerate().for_each(task);
    } else {
        stripes
            .par_chunks_exact_mut(size)
            .enumerate()
            .for_each(task);
    }
    let collect = |(row, out): (usize, &mut [f32])| {
        for (stripe, out) in out.chunks_mut(STRIPE).enumerate() {
            out.copy_from_slice(&stripes[(stripe * rows + row) * STRIPE..][..out.len()]);
        }
    };
    if serial {
        out.chunks_exact_mut(columns).enumerate().for_each(collect);
    } else {
        out.par_chunks_exact_mut(columns)
            .enumerate()
            .for_each(collect);
    }
}

multiversion! {
    /// Adds `x w` for `width` columns of a weight whose rows lie `stride` apart.
    fn by_rows(sums: &mut [f32], x: &[f32], w: &[f32], depth: usize, stride: usize, width: usize)
        = by_rows_body
}
multiversion! {
    /// Adds `x w` for `width` columns of a weight whose columns lie `stride` apart.
    fn by_columns(sums: &mut [f32], x: &[f32], w: &[f32], depth: usize, stride: usize, width: usize)
        = by_columns_body
}

/// The rows of `x`, [`BLOCK`] by `BLOCK`, each block column by column.
fn interleaved(x: &[f32], depth: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for block in x.chunks((BLOCK * depth).max(1)) {
        for k in 0..depth {
            out.extend(block.iter().skip(k).step_by(depth));
        }
    }
    out
}

#[inline(always)]
fn by_rows_body<const FMA: bool>(
    sums: &mut [f32],
    x: &[f32],
    w: &[f32],
    depth: usize,
    stride: usize,
    width: usize,
) {
    for k in (0..depth).step_by(DEPTH) {
        let count = DEPTH.min(depth - k);
        let w = &w[k * stride..];
        for column in (0..width).step_by(WIDTH) {
            let blocks = sums.chunks_mut(BLOCK * STRIPE).zip(x.chunks(BLOCK * depth));
            for (sums, x) in blocks {
                let rows = sums.len() / STRIPE;
                let x = &x[k * rows..][..count * rows];
                let (sums, w) = (&mut sums[column..], &w[column..]);
                if column + WIDTH > width {
                    edge::<FMA>(sums, x, w, [rows, stride, width - column]);
                    continue;
                }
                match rows {
                    1 => tile::<FMA, 1>(sums, x, w, stride),
                    2 => tile::<FMA, 2>(sums, x, w, stride),
                    3 => tile::<FMA, 3>(sums, x, w, stride),
                    4 => tile::<FMA, 4>(sums, x, w, stride),
                    _ => tile::<FMA, BLOCK>(sums, x, w, stride),
                }
            }
        }
    }
}

/// Some interleaved rows of `x` times [`WIDTH`] columns of the weight.
#[inline(always)]
fn tile<const FMA: bool, const ROWS: usize>(sums: &mut [f32], x: &[f32], w: &[f32], stride: usize) {
    let mut registers = [[0f32; WIDTH]; ROWS];
    for (row, registers) in registers.iter_mut().enumerate() {
        registers.copy_from_slice(&sums[row * STRIPE..][..WIDTH]);
    }
    for (x, w) in x.chunks_exact(ROWS).zip(w.chunks(stride)) {
        let x: &[f32; ROWS] = x.try_into().expect("a row's values");
        let w: &[f32; WIDTH] = w[..WIDTH].try_into().expect("a tile's width");
        for row in 0..ROWS {
            for column in 0..WIDTH {
                registers[row][column] = fma::<FMA>(x[row], w[column], registers[row][column]);
            }
        }
    }
    for (row, registers) in registers.iter().enumerate() {
        sums[row * STRIPE..][..WIDTH].copy_from_slice(registers);
    }
}

/// [`tile`] for the last columns, which do not fill one.
#[inline(always)]
fn edge<const FMA: bool>(
    sums: &mut [f32],
    x: &[f32],
    w: &[f32],
    [rows, stride, width]: [usize; 3],
) {
    for (x, w) in x.chunks_exact(rows).zip(w.chunks(stride)) {
        for (row, x) in x.iter().enumerate() {
            for (sum, w) in sums[row * STRIPE..][..width].iter_mut().zip(w) {
                *sum = fma::<FMA>(*x, *w, *sum);
            }
        }
    }
}

#[inline(always)]
fn by_columns_body<const FMA: bool>(
    sums: &mut [f32],
    x: &[f32],
    w: &[f32],
    depth: usize,
    stride: usize,
    width: usize,
) {
    for column in (0..width).step_by(2) {
        let first = &w[column * stride..][..depth];
        // An odd one out is computed twice.
        let second = &w[(column + 1).min(width - 1) * stride..][..depth];
        let blocks = sums.chunks_mut(BLOCK * STRIPE).zip(x.chunks(BLOCK * depth));
        for (sums, x) in blocks {
            let pair = [first, second];
            match sums.len() / STRIPE {
                1 => dots::<FMA, 1>(&mut sums[column..], x, pair),
                2 => dots::<FMA, 2>(&mut sums[column..], x, pair),
                3 => dots::<FMA, 3>(&mut sums[column..], x, pair),
                4 => dots::<FMA, 4>(&mut sums[column..], x, pair),
                _ => dots::<FMA, BLOCK>(&mut sums[column..], x, pair),
            }
        }
    }
}

/// Scalar products of some rows of `x` with two columns of the weight.
#[inline(always)]
fn dots<const FMA: bool, const ROWS: usize>(sums: &mut [f32], x: &[f32], w: [&[f32]; 2]) {
    let depth = w[0].len();
    let whole = depth / LANES * LANES;
    let x: [&[f32]; ROWS] = std::array::from_fn(|row| &x[row * depth..][..depth]);
    let mut registers = [[[0f32; LANES]; 2]; ROWS];
    for k in (0..whole).step_by(LANES) {
        for column in 0..2 {
            let w: &[f32; LANES] = w[column][k..][..LANES].try_into().expect("lanes");
            for row in 0..ROWS {
                let x: &[f32; LANES] = x[row][k..][..LANES].try_into().expect("lanes");
                for lane in 0..LANES {
                    let sum = &mut registers[row][column][lane];
                    *sum = fma::<FMA>(x[lane], w[lane], *sum);
                }
            }
        }
    }
    for row in 0..ROWS {
        for column in 0..2 {
            let lanes = &registers[row][column];
            let mut sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6]))
                + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
            for k in whole..depth {
                sum = fma::<FMA>(x[row][k], w[column][k], sum);
            }
            // The second of an odd one out has no place.
            if let Some(place) = sums.get_mut(row * STRIPE + column) {
                *place += sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{matrix_product, values, wide};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn both_layouts_agree_with_the_reference(
            rows in 1usize..=MOST, depth in 0usize..70, columns in 1usize..150, with_bias: bool,
            transposed: bool, seed: u64,
        ) {
            let (x, w) = (values(seed, rows * depth, 1.0), values(seed ^ 1, depth * columns, 1.0));
            let bias = values(seed ^ 2, columns, 1.0);
            let mut expected = matrix_product(&wide(&x), &wide(&w), [rows, depth, columns]);
            if with_bias {
                expected.iter_mut().enumerate().for_each(|(i, y)| *y += f64::from(bias[i % columns]));
            }
            let turned: Vec<f32> = (0..depth * columns)
                .map(|i| w[i % depth * columns + i / depth])
                .collect();
            let weight = if transposed {
                Matrix::new(&turned, columns, depth).transposed()
            } else {
                Matrix::new(&w, depth, columns)
            };
            let mut out = vec![f32::NAN; rows * columns];
            multiply(&mut out, &x, weight, with_bias.then_some(&bias[..]));
            for (found, expected) in out.iter().zip(&expected) {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-5);
            }
        }
    }
}
