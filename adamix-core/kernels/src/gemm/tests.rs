//! Every kind of tile against the reference, on odd shapes and layouts.

use super::*;
use crate::reference::{matrix_product, values, wide};
#[cfg(target_arch = "x86_64")]
use crate::simd::{SimdLevel, level, multiplies_bf16};
use half::bf16;
use proptest::prelude::*;

fn rounded(values: &[f32]) -> Vec<f64> {
    let round = |x: &f32| f64::from(bf16::from_f32(*x).to_f32());
    values.iter().map(round).collect()
}

/// A matrix stored row by row, column by column, or with gaps.
fn stored<E: Element>(values: &[E], [rows, columns]: [usize; 2], way: u8, gap: E) -> Vec<E> {
    let mut out = vec![gap; 2 * rows * columns];
    for i in 0..rows {
        for j in 0..columns {
            let place = match way {
                0 => i * columns + j,
                1 => j * rows + i,
                _ => 2 * (i * columns + j),
            };
            out[place] = values[i * columns + j];
        }
    }
    out
}

fn view<E: Element>(data: &[E], [rows, columns]: [usize; 2], way: u8) -> Matrix<'_, E> {
    match way {
        0 => Matrix::new(data, rows, columns),
        1 => Matrix::new(data, columns, rows).transposed(),
        _ => Matrix::strided(data, [rows, columns], [2 * columns, 2]),
    }
}

/// Runs a product by tiles of one kind and compares it with the reference, which has the operands as the
/// tiles see them.
fn check<T: Tile>([m, k, n]: [usize; 3], ways: [u8; 2], with_bias: bool, half: bool, seed: u64) {
    let (a, b) = (values(seed, m * k, 1.0), values(seed ^ 1, k * n, 1.0));
    let bias = values(seed ^ 2, n, 1.0);
    let seen = if T::PAIRS { rounded(&a) } else { wide(&a) };
    let weight = if half || T::PAIRS {
        rounded(&b)
    } else {
        wide(&b)
    };
    let mut expected = matrix_product(&seen, &weight, [m, k, n]);
    let mut out = vec![f32::NAN; m * n];
    let mut start = Start::Zero;
    if with_bias {
        start = Start::Bias(&bias);
        let sums = expected.iter_mut().enumerate();
        sums.for_each(|(i, sum)| *sum += f64::from(bias[i % n]));
    }
    let left = stored(&a, [m, k], ways[0], f32::NAN);
    let left = view(&left, [m, k], ways[0]);
    if half {
        let b: Vec<bf16> = b.iter().map(|x| bf16::from_f32(*x)).collect();
        let right = stored(&b, [k, n], ways[1], bf16::NAN);
        multiply_by::<bf16, T>(
            &mut out,
            left,
            view(&right, [k, n], ways[1]),
            start,
            Around::Nothing,
        );
    } else {
        let right = stored(&b, [k, n], ways[1], f32::NAN);
        multiply_by::<f32, T>(
            &mut out,
            left,
            view(&right, [k, n], ways[1]),
            start,
            Around::Nothing,
        );
    }
    let tolerance = 1e-5 + 2e-7 * k as f64;
    for (o, e) in out.iter().zip(&expected) {
        // Not `>`, so that a NaN fails.
        let error = (f64::from(*o) - e).abs();
        assert!(error <= tolerance, "{m} {k} {n}: {o} instead of {e}");
    }
}

fn check_all(shape: [usize; 3], ways: [u8; 2], with_bias: bool, half: bool, seed: u64) {
    check::<tile::Portable>(shape, ways, with_bias, half, seed);
    check::<tile::PortablePairs>(shape, ways, with_bias, half, seed);
    #[cfg(target_arch = "x86_64")]
    {
        if level() >= SimdLevel::Avx2 {
            check::<tile::Avx2>(shape, ways, with_bias, half, seed);
        }
        if level() >= SimdLevel::Avx512 {
            check::<tile::Avx512>(shape, ways, with_bias, half, seed);
        }
        if multiplies_bf16() {
            check::<tile::Avx512Bf16>(shape, ways, with_bias, half, seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_tile_agrees_with_the_reference(
        m in 1usize..60, k in 0usize..40, n in 1usize..80, ways in [0u8..3, 0u8..3], with_bias: bool,
        half: bool, seed: u64,
    ) {
        check_all([m, k, n], ways, with_bias, half, seed);
    }
}

#[test]
fn long_sums_go_on_where_they_stopped() {
    for (i, shape) in [
        [100, DEPTH + 1, 40],
        [13, 2 * DEPTH + 7, 33],
        [200, DEPTH, 16],
    ]
    .into_iter()
    .enumerate()
    {
        for half in [false, true] {
            check_all(shape, [i as u8, 0], i > 0, half, 5);
        }
    }
}

#[test]
fn wide_products_are_packed_in_parts() {
    // Two rows, more columns than are packed at a time.
    check_all([2, 2048, PACKED / 2048 + 50], [0, 1], true, false, 6);
}

#[test]
fn a_result_without_elements_stays_so() {
    multiply(
        &mut [],
        Matrix::new(&[0.0f32; 6], 0, 3),
        Matrix::new(&[0.0f32; 6], 3, 2),
        Start::Zero,
    );
}

#[test]
fn small_products_agree_with_the_reference() {
    for [m, k, n] in [[1, 1, 1], [5, 1, 3], [7, 13, 1], [33, 65, 17]] {
        let (a, b) = (values(1, m * k, 1.0), values(2, k * n, 1.0));
        let expected = matrix_product(&wide(&a), &wide(&b), [m, k, n]);
        let mut out = vec![f32::NAN; m * n];
        let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
        // SAFETY: the buffer has the size of the product and is borrowed exclusively.
        unsafe {
            multiply_here(out.as_mut_ptr(), n, a, b, false);
            multiply_here(out.as_mut_ptr(), n, a, b, true);
        }
        for (o, e) in out.iter().zip(&expected) {
            assert!((f64::from(*o) - 2.0 * e).abs() < 1e-5, "{m} {k} {n}");
        }
    }
}

#[test]
#[should_panic(expected = "outside its slice")]
fn a_matrix_must_lie_in_its_slice() {
    Matrix::strided(&[0.0f32; 5], [2, 3], [3, 1]);
}
