//! Sums over the rows of a matrix, for the gradients of biases.

use crate::simd::multiversion;
use rayon::prelude::*;

/// Rows that one partial sum covers. Fixed, and partial sums are added in order, so that a result does
/// not depend on the number of threads.
pub(crate) const BLOCK: usize = 128;

/// The sum of each column of a row-major matrix of `columns` columns.
pub(crate) fn column_sums(matrix: &[f32], columns: usize) -> Vec<f32> {
    let parts = matrix
        .par_chunks((BLOCK * columns).max(1))
        .map(|rows| {
            let mut sums = vec![0.0; columns];
            add_rows(rows, &mut sums);
            sums
        })
        .collect::<Vec<_>>();
    total(&parts, columns)
}

/// The element-wise sum of partial sums, in their order.
pub(crate) fn total(parts: &[Vec<f32>], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    for part in parts {
        add_rows(part, &mut sums);
    }
    sums
}

multiversion! { fn add_rows(rows: &[f32], sums: &mut [f32]) = add_rows_body }

#[inline(always)]
fn add_rows_body<const FMA: bool>(rows: &[f32], sums: &mut [f32]) {
    for row in rows.chunks_exact(sums.len().max(1)) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_summed() {
        let matrix: Vec<f32> = (0..3 * 300).map(|i| i as f32).collect();
        let expected: Vec<f32> = (0..3)
            .map(|c| (0..300).map(|r| (3 * r + c) as f32).sum())
            .collect();
        assert_eq!(super::column_sums(&matrix, 3), expected);
        assert!(super::column_sums(&[], 0).is_empty());
    }
}
