//! Products of a few rows with a large weight, such as a step of decoding has them.
//!
//! The time is that of reading the weight once. A general product packs it first, which reads it twice and
//! writes it once more; here it is read in place, in the order in which it lies.

use crate::gemm::Matrix;
use crate::simd::{SimdLevel, level};
use rayon::prelude::*;
use std::borrow::Cow;

/// The most rows that are few.
pub(crate) const MOST: usize = 32;

/// Columns of the result that one task computes.
const STRIPE: usize = 128;
/// Columns that are summed in registers at a time, where the weight lies row by row.
const WIDTH: usize = 16;
/// Rows of the weight between two stores of the sums.
const DEPTH: usize = 16;
/// Rows of `x` that share one reading of the weight from the cache: as many as the registers hold sums of.
const BLOCK: usize = 6;
/// Products below which a call stays on its thread: waking another costs more.
const SERIAL: usize = 1 << 22;

/// Whether [`multiply`] can take these operands, on this processor.
pub(crate) fn serves(rows: usize, weight: &Matrix<'_>) -> bool {
    let in_place = weight.column_stride() == 1 || weight.row_stride() == 1;
    in_place && rows <= MOST && level() > SimdLevel::Portable
}

/// `out = x w + bias`; `x` and `out` are in row-major order. A sum's order depends on the shapes alone.
///
/// # Panics
/// If the shapes do not fit, or [`serves`] is false.
pub(crate) fn multiply(out: &mut [f32], x: &[f32], weight: Matrix<'_>, bias: Option<&[f32]>) {
    let (depth, columns) = (weight.rows(), weight.columns());
    if out.is_empty() {
        return;
    }
    let rows = out.len() / columns;
    assert!(
        out.len() == rows * columns && x.len() == rows * depth,
        "a product's shapes"
    );
    assert!(serves(rows, &weight), "a product of few rows");
    let in_rows = weight.column_stride() == 1;
    // Blocks of like sizes.
    let block = rows.div_ceil(rows.div_ceil(BLOCK).max(1)).max(1);
    let x = if in_rows {
        Cow::from(interleaved(x, depth, block))
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
        if depth == 0 {
            return;
        }
        let data = weight.starting_at(first);
        let blocks = sums.chunks_mut(block * STRIPE).zip(x.chunks(block * depth));
        // SAFETY: `serves` has found the instructions.
        unsafe {
            if in_rows {
                by_rows(blocks, data, [depth, weight.row_stride(), width]);
            } else {
                by_columns(blocks, data, [depth, weight.column_stride(), width]);
            }
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

/// The rows of `x`, `block` at a time, each block column by column.
fn interleaved(x: &[f32], depth: usize, block: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for rows in x.chunks((block * depth).max(1)) {
        let count = rows.len() / depth.max(1);
        for k in 0..depth {
            for row in 0..count {
                out.push(rows[row * depth + k]);
            }
        }
    }
    out
}

#[cfg(target_arch = "x86_64")]
use avx2::{by_columns, by_rows};

/// Where no instruction set serves, nothing is multiplied here.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn by_rows<'a>(
    _: impl Iterator<Item = (&'a mut [f32], &'a [f32])>,
    _: &[f32],
    _: [usize; 3],
) {
    unreachable!("no product of few rows on this processor")
}

#[cfg(not(target_arch = "x86_64"))]
use by_rows as by_columns;

/// The loops in explicit vector code: the compiler does not keep this many sums in registers by itself.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{DEPTH, STRIPE, WIDTH};
    use std::arch::x86_64::*;

    /// Values of a register.
    const LANES: usize = 8;
    /// How many columns further on the weight is asked for while one is read.
    const AHEAD: usize = 4;

    /// Adds `x w` for `width` columns of a weight whose rows lie `stride` apart, to blocks of sums and
    /// interleaved rows of `x`.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn by_rows<'a>(
        blocks: impl Iterator<Item = (&'a mut [f32], &'a [f32])>,
        w: &[f32],
        [depth, stride, width]: [usize; 3],
    ) {
        assert!(w.len() >= (depth - 1) * stride + width, "the weight's size");
        let mut blocks: Vec<_> = blocks.collect();
        for k in (0..depth).step_by(DEPTH) {
            let count = DEPTH.min(depth - k);
            let w = &w[k * stride..];
            for column in (0..width).step_by(WIDTH) {
                for row in DEPTH..2 * DEPTH {
                    prefetch(w, row * stride + column);
                }
                for (sums, x) in &mut blocks {
                    let rows = sums.len() / STRIPE;
                    let x = &x[k * rows..][..count * rows];
                    let (sums, w) = (&mut sums[column..], &w[column..]);
                    if column + WIDTH > width {
                        edge(sums, x, w, [rows, stride, width - column]);
                        continue;
                    }
                    match rows {
                        1 => tile::<1>(sums, x, w, stride),
                        2 => tile::<2>(sums, x, w, stride),
                        3 => tile::<3>(sums, x, w, stride),
                        4 => tile::<4>(sums, x, w, stride),
                        5 => tile::<5>(sums, x, w, stride),
                        _ => tile::<6>(sums, x, w, stride),
                    }
                }
            }
        }
    }

    /// Some interleaved rows of `x` times [`WIDTH`] columns of the weight.
    #[target_feature(enable = "avx2,fma")]
    fn tile<const ROWS: usize>(sums: &mut [f32], x: &[f32], w: &[f32], stride: usize) {
        let count = x.len() / ROWS;
        assert!(sums.len() >= (ROWS - 1) * STRIPE + WIDTH && x.len() == count * ROWS);
        assert!(w.len() >= (count - 1) * stride + WIDTH);
        let (sums, x, w) = (sums.as_mut_ptr(), x.as_ptr(), w.as_ptr());
        // SAFETY: all offsets lie in the slices, as just checked.
        unsafe {
            let mut registers = [[_mm256_setzero_ps(); 2]; ROWS];
            for (row, [low, high]) in registers.iter_mut().enumerate() {
                *low = _mm256_loadu_ps(sums.add(row * STRIPE));
                *high = _mm256_loadu_ps(sums.add(row * STRIPE + LANES));
            }
            for k in 0..count {
                let low = _mm256_loadu_ps(w.add(k * stride));
                let high = _mm256_loadu_ps(w.add(k * stride + LANES));
                for (row, sum) in registers.iter_mut().enumerate() {
                    let x = _mm256_broadcast_ss(&*x.add(k * ROWS + row));
                    sum[0] = _mm256_fmadd_ps(x, low, sum[0]);
                    sum[1] = _mm256_fmadd_ps(x, high, sum[1]);
                }
            }
            for (row, [low, high]) in registers.iter().enumerate() {
                _mm256_storeu_ps(sums.add(row * STRIPE), *low);
                _mm256_storeu_ps(sums.add(row * STRIPE + LANES), *high);
            }
        }
    }

    /// [`tile`] for the last columns, which do not fill one.
    #[target_feature(enable = "avx2,fma")]
    fn edge(sums: &mut [f32], x: &[f32], w: &[f32], [rows, stride, width]: [usize; 3]) {
        for (k, x) in x.chunks_exact(rows).enumerate() {
            // Not by chunks: a single row may have any stride, such as 1.
            let w = &w[k * stride..][..width];
            for (row, x) in x.iter().enumerate() {
                for (sum, w) in sums[row * STRIPE..][..width].iter_mut().zip(w) {
                    *sum = x.mul_add(*w, *sum);
                }
            }
        }
    }

    /// Adds `x w` for `width` columns of a weight whose columns lie `stride` apart.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn by_columns<'a>(
        blocks: impl Iterator<Item = (&'a mut [f32], &'a [f32])>,
        w: &[f32],
        [depth, stride, width]: [usize; 3],
    ) {
        let mut blocks: Vec<_> = blocks.collect();
        for column in (0..width).step_by(2) {
            let first = &w[column * stride..][..depth];
            // An odd one out is computed twice.
            let second = &w[(column + 1).min(width - 1) * stride..][..depth];
            let (pair, ahead) = ([first, second], AHEAD * stride);
            for (sums, x) in &mut blocks {
                let rows = sums.len() / STRIPE;
                let sums = &mut sums[column..];
                match rows {
                    1 => dots::<1>(sums, x, pair, ahead),
                    2 => dots::<2>(sums, x, pair, ahead),
                    3 => dots::<3>(sums, x, pair, ahead),
                    4 => dots::<4>(sums, x, pair, ahead),
                    5 => dots::<5>(sums, x, pair, ahead),
                    _ => dots::<6>(sums, x, pair, ahead),
                }
            }
        }
    }

    /// Asks for the cache line of a place that will be read soon; it need not exist.
    #[inline(always)]
    fn prefetch(w: &[f32], place: usize) {
        // SAFETY: a prefetch touches nothing, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(w.as_ptr().wrapping_add(place).cast()) }
    }

    /// Scalar products of some rows of `x` with two columns of the weight, which lies on `ahead` of them.
    #[target_feature(enable = "avx2,fma")]
    fn dots<const ROWS: usize>(
        sums: &mut [f32],
        x: &[f32],
        [first, second]: [&[f32]; 2],
        ahead: usize,
    ) {
        let depth = first.len();
        let whole = depth / LANES * LANES;
        assert!(x.len() == ROWS * depth && second.len() == depth);
        let mut registers = [[_mm256_setzero_ps(); 2]; ROWS];
        let (from, left, right) = (x.as_ptr(), first.as_ptr(), second.as_ptr());
        for k in (0..whole).step_by(LANES) {
            prefetch(first, k + ahead);
            prefetch(second, k + ahead);
            // SAFETY: `k + LANES` is at most `depth`, the length of the columns and of each row of `x`.
            unsafe {
                let left = _mm256_loadu_ps(left.add(k));
                let right = _mm256_loadu_ps(right.add(k));
                for (row, sum) in registers.iter_mut().enumerate() {
                    let x = _mm256_loadu_ps(from.add(row * depth + k));
                    sum[0] = _mm256_fmadd_ps(x, left, sum[0]);
                    sum[1] = _mm256_fmadd_ps(x, right, sum[1]);
                }
            }
        }
        for (row, pair) in registers.iter().enumerate() {
            for (column, (register, w)) in pair.iter().zip([first, second]).enumerate() {
                let mut sum = total(*register);
                for k in whole..depth {
                    sum = x[row * depth + k].mul_add(w[k], sum);
                }
                // The second of an odd one out has no place.
                if let Some(place) = sums.get_mut(row * STRIPE + column) {
                    *place += sum;
                }
            }
        }
    }

    /// The sum of a register's values.
    #[target_feature(enable = "avx2,fma")]
    fn total(register: __m256) -> f32 {
        let half = _mm_add_ps(
            _mm256_castps256_ps128(register),
            _mm256_extractf128_ps::<1>(register),
        );
        let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{matrix_product, values, wide};
    use proptest::prelude::*;

    /// Whether the operands are taken: where the processor has the instructions they must be, unless the tests are to
    /// run without.
    #[track_caller]
    fn is_served(rows: usize, weight: &Matrix<'_>) -> bool {
        let served = serves(rows, weight);
        #[cfg(target_arch = "x86_64")]
        {
            let able = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let off = std::env::var("ADAMIX_TEST_SIMD").is_ok_and(|level| level == "portable");
            assert!(served || !able || off, "{rows} rows are not taken");
        }
        served
    }

    #[test]
    fn a_weight_of_one_row_may_have_any_stride() {
        // The gradient of a layer with one output: its weight is one column, of which either stride is 1.
        let w = [1.0, 2.0, 3.0];
        let weight = Matrix::new(&w, 3, 1).transposed();
        if is_served(1, &weight) {
            let mut out = [f32::NAN; 3];
            multiply(&mut out, &[2.0], weight, None);
            assert_eq!(out, [2.0, 4.0, 6.0]);
        }
    }

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
            if !is_served(rows, &weight) {
                return Ok(());
            }
            let mut out = vec![f32::NAN; rows * columns];
            multiply(&mut out, &x, weight, with_bias.then_some(&bias[..]));
            for (found, expected) in out.iter().zip(&expected) {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-5);
            }
        }
    }
}
