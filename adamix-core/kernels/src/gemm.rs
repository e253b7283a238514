//! Matrix products on slices, with any strides.
//!
//! The `gemm` crate splits work between threads by blocks of the result; the blocks, and the order in
//! which a block's products are added, depend on the shapes alone. So the number of threads does not
//! change a result (a test holds this).

use burn_flex::FlexTensor;
use gemm::Parallelism;

/// A matrix that lies in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix in row-major order at the start of a slice.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, [rows, columns], [columns, 1])
    }

    /// A matrix whose element `[i, j]` lies at `i * strides[0] + j * strides[1]`.
    ///
    /// # Panics
    /// If an element would lie outside the slice.
    pub(crate) fn strided(
        data: &'a [f32],
        [rows, columns]: [usize; 2],
        strides: [usize; 2],
    ) -> Self {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * strides[0] + (columns - 1) * strides[1];
            assert!(last < data.len(), "a matrix reaches outside its slice");
        }
        Self {
            data,
            rows,
            columns,
            row_stride: strides[0],
            column_stride: strides[1],
        }
    }

    /// A two-dimensional tensor as it lies in memory, or `None` if a stride is negative.
    pub(crate) fn of(tensor: &'a FlexTensor) -> Option<Self> {
        let layout = tensor.layout();
        let dims = [layout.shape()[0], layout.shape()[1]];
        let strides = [
            usize::try_from(layout.strides()[0]).ok()?,
            usize::try_from(layout.strides()[1]).ok()?,
        ];
        let data = &tensor.storage::<f32>()[layout.start_offset()..];
        Some(Self::strided(data, dims, strides))
    }

    /// How far apart two rows of a column lie.
    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// How far apart two columns of a row lie.
    pub(crate) fn column_stride(&self) -> usize {
        self.column_stride
    }

    /// The data from the first element of a column on.
    pub(crate) fn starting_at(&self, column: usize) -> &'a [f32] {
        let start = (column * self.column_stride).min(self.data.len());
        &self.data[start..]
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The transposed matrix, in place.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// What happens to the values already in the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Previous {
    Overwrite,
    Add,
}

/// `out = a b` or `out += a b`, on all threads; `out` is in row-major order.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn multiply(out: &mut [f32], a: Matrix, b: Matrix, previous: Previous) {
    assert_eq!(out.len(), a.rows * b.columns, "the result's size");
    let parallelism = Parallelism::Rayon(0);
    // SAFETY: `out` holds `a.rows` rows of `b.columns` elements and is borrowed exclusively.
    unsafe { multiply_at(out.as_mut_ptr(), b.columns, a, b, previous, parallelism) }
}

/// [`multiply`] on the calling thread, into rows that lie `row_stride` elements apart.
///
/// # Safety
/// All elements `i * row_stride + j` after `out`, for `i < a.rows` and `j < b.columns`, must be valid to
/// write (and read, to add), and no other thread may touch them meanwhile.
pub(crate) unsafe fn multiply_here(
    out: *mut f32,
    row_stride: usize,
    a: Matrix,
    b: Matrix,
    previous: Previous,
) {
    // SAFETY: the caller's promise.
    unsafe { multiply_at(out, row_stride, a, b, previous, Parallelism::None) }
}

unsafe fn multiply_at(
    out: *mut f32,
    row_stride: usize,
    a: Matrix,
    b: Matrix,
    previous: Previous,
    parallelism: Parallelism,
) {
    assert_eq!(a.columns, b.rows, "the inner dimensions of a product");
    // SAFETY: `Matrix` has checked that every element of `a` and `b` lies in its slice; the caller answers
    // for `out`.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            row_stride as isize,
            previous == Previous::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{matrix_product, values, wide};

    #[test]
    fn products_of_views_agree_with_the_reference() {
        for (m, k, n) in [
            (1, 1, 1),
            (1, 9, 5),
            (5, 1, 3),
            (7, 13, 1),
            (33, 65, 17),
            (3, 0, 2),
        ] {
            let (a, b) = (values(1, m * k, 1.0), values(2, k * n, 1.0));
            let expected = matrix_product(&wide(&a), &wide(&b), [m, k, n]);
            let mut out = vec![f32::NAN; m * n];
            let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            multiply(&mut out, a, b, Previous::Overwrite);
            multiply(&mut out, a, b, Previous::Add);
            for (o, e) in out.iter().zip(&expected) {
                assert!((f64::from(*o) - 2.0 * e).abs() < 1e-5, "{m} {k} {n}");
            }
            let mut turned = vec![f32::NAN; m * n];
            multiply(
                &mut turned,
                b.transposed(),
                a.transposed(),
                Previous::Overwrite,
            );
            for i in 0..m {
                for j in 0..n {
                    let error = f64::from(turned[j * m + i]) - expected[i * n + j];
                    assert!(error.abs() < 1e-5, "transposed {m} {k} {n}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside its slice")]
    fn a_matrix_must_lie_in_its_slice() {
        Matrix::strided(&[0.0; 5], [2, 3], [3, 1]);
    }
}
