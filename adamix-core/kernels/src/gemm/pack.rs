//! Operands in the order in which a tile reads them.

use super::Matrix;
use super::tile::Tile;
use core::ops::Range;
use half::bf16;
use rayon::prelude::*;

/// Steps along the depth that a tile takes at a time; even, so that a pair never spans two.
pub(super) const DEPTH: usize = 384;

/// What a matrix may be stored in.
pub(crate) trait Element: Copy + Send + Sync {
    /// Whether half the bits say it all.
    const HALF: bool;

    fn wide(self) -> f32;
    fn half(self) -> bf16;

    /// The matrix, if it is stored in 32 bits.
    fn full(matrix: Matrix<'_, Self>) -> Option<Matrix<'_>>;
}

impl Element for f32 {
    const HALF: bool = false;

    fn wide(self) -> f32 {
        self
    }

    fn half(self) -> bf16 {
        bf16::from_f32(self)
    }

    fn full(matrix: Matrix<'_, Self>) -> Option<Matrix<'_>> {
        Some(matrix)
    }
}

impl Element for bf16 {
    const HALF: bool = true;

    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    fn half(self) -> bf16 {
        self
    }

    fn full(_: Matrix<'_, Self>) -> Option<Matrix<'_>> {
        None
    }
}

/// Units that steps along the depth take.
pub(super) fn units<T: Tile>(depth: usize) -> usize {
    if T::PAIRS { depth.div_ceil(2) } else { depth }
}

/// The right side's columns, as panels a tile wide: all panels of the first [`DEPTH`] rows, then all of the
/// next.
pub(super) fn panels<E: Element, T: Tile>(b: Matrix<E>, columns: Range<usize>) -> Vec<u32> {
    let count = columns.len().div_ceil(T::COLUMNS);
    let wide = count * T::COLUMNS;
    let mut out = vec![0; units::<T>(b.rows) * wide];
    let blocks = out.par_chunks_mut((units::<T>(DEPTH) * wide).max(1));
    blocks.enumerate().for_each(|(block, out)| {
        let first = block * DEPTH;
        let steps = first..(first + DEPTH).min(b.rows);
        let panels = out.par_chunks_exact_mut(units::<T>(steps.len()) * T::COLUMNS);
        panels.enumerate().for_each(|(panel, out)| {
            let first = columns.start + panel * T::COLUMNS;
            let columns = first..(first + T::COLUMNS).min(columns.end);
            pack::<E, T>(out, T::COLUMNS, b, steps.clone(), columns);
        });
    });
    out
}

/// Some columns of some rows of `m`, side by side row after row, `width` units apart. What they do not fill
/// must be zero and stays so. Inlined, so that the width is known.
#[inline(always)]
pub(super) fn pack<E: Element, T: Tile>(
    out: &mut [u32],
    width: usize,
    m: Matrix<E>,
    rows: Range<usize>,
    columns: Range<usize>,
) {
    let count = columns.len();
    if T::PAIRS {
        for (i, row) in rows.enumerate() {
            let shift = 16 * (i % 2);
            let out = &mut out[i / 2 * width..][..count];
            for (out, column) in out.iter_mut().zip(columns.clone()) {
                let keep = if shift == 0 { 0 } else { *out };
                *out = keep | u32::from(m.at(row, column).half().to_bits()) << shift;
            }
        }
    } else if m.column_stride == 1 {
        for (out, row) in out.chunks_exact_mut(width).zip(rows) {
            let from = &m.data[row * m.row_stride + columns.start..][..count];
            for (out, x) in out.iter_mut().zip(from) {
                *out = x.wide().to_bits();
            }
        }
    } else if m.row_stride == 1 {
        for (place, column) in columns.enumerate() {
            let from = &m.data[column * m.column_stride..][rows.clone()];
            for (out, x) in out.chunks_exact_mut(width).zip(from) {
                out[place] = x.wide().to_bits();
            }
        }
    } else {
        for (out, row) in out.chunks_exact_mut(width).zip(rows) {
            for (out, column) in out.iter_mut().zip(columns.clone()) {
                *out = m.at(row, column).wide().to_bits();
            }
        }
    }
}
