//! Matrix products on slices, with any strides.
//!
//! The right side is packed first, by all threads together; then each task takes a block of rows of the left
//! side through all of it, tile by tile. Weights stored in `bf16` are widened as they are packed; where the
//! processor multiplies `bf16` itself, the left side is rounded to it instead. The order of a sum depends on
//! the shapes alone, so the number of threads does not change a result (a test holds this).

mod pack;
mod tile;

pub(crate) use pack::Element;

use core::ops::Range;
use gemm::Parallelism;
use pack::{DEPTH, pack, panels, units};
use rayon::prelude::*;
use tile::Tile;

/// Rows of the result that a task computes, at most: their part of the left side stays in the cache of a core.
const HEIGHT: usize = 96;
/// Parts that the rows are cut into, at least, where there are enough.
const TASKS: usize = 8;
/// Elements of the right side that are packed at a time.
const PACKED: usize = 1 << 22;
/// Columns of a result that is narrow: packing the left side would cost as much as the product, so one that
/// reads it in place has it.
const NARROW: usize = 32;
/// Products below which a call stays on its thread: waking another costs more.
const SERIAL: usize = 1 << 19;
/// The most elements of a tile.
const LARGEST: usize = 12 * 32;

/// A matrix that lies in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, E = f32> {
    data: &'a [E],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, E: Element> Matrix<'a, E> {
    /// A matrix in row-major order at the start of a slice.
    pub(crate) fn new(data: &'a [E], rows: usize, columns: usize) -> Self {
        Self::strided(data, [rows, columns], [columns, 1])
    }

    /// A matrix whose element `[i, j]` lies at `i * strides[0] + j * strides[1]`.
    ///
    /// # Panics
    /// If an element would lie outside the slice.
    pub(crate) fn strided(data: &'a [E], [rows, columns]: [usize; 2], strides: [usize; 2]) -> Self {
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

    /// How far apart two rows of a column lie.
    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// How far apart two columns of a row lie.
    pub(crate) fn column_stride(&self) -> usize {
        self.column_stride
    }

    /// The data from the first element of a column on.
    pub(crate) fn starting_at(&self, column: usize) -> &'a [E] {
        let start = (column * self.column_stride).min(self.data.len());
        &self.data[start..]
    }

    /// Some rows.
    fn starting_at_row(self, first: usize, rows: usize) -> Self {
        let start = (first * self.row_stride).min(self.data.len());
        Self {
            data: &self.data[start..],
            rows,
            ..self
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// # Panics
    /// If the element lies outside the slice.
    fn at(&self, row: usize, column: usize) -> E {
        self.data[row * self.row_stride + column * self.column_stride]
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

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// A row, to each row of the result.
    Bias(&'a [f32]),
}

/// `out = start + a b`, on all threads; `out` is in row-major order.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn multiply<E: Element>(out: &mut [f32], a: Matrix, b: Matrix<E>, start: Start) {
    if b.columns <= NARROW
        && let Some(b) = E::full(b)
    {
        return multiply_narrow(out, a, b, start);
    }
    multiply_around(out, a, b, start, Around::Nothing);
}

/// What a task does with its rows beside the product, so that neither side of it is ever whole in memory.
#[derive(Clone, Copy)]
pub(crate) enum Around<'a> {
    /// Nothing.
    Nothing,
    /// Makes of rows of the left side, which is in row-major order, those that are multiplied.
    Before(&'a (dyn Fn(&[f32], &mut [f32]) + Sync)),
    /// Puts rows of the product onto those that the result holds.
    Onto(&'a (dyn Fn(&mut [f32], &[f32]) + Sync)),
}

/// Whether a product with a right side of this shape may be put onto its result: it is packed in one part, and not so
/// narrow that another way would have it.
pub(crate) fn is_whole<E: Element>(b: &Matrix<E>) -> bool {
    b.rows * b.columns <= PACKED && b.columns > NARROW
}

/// [`multiply`] by tiles, with something done around it.
pub(crate) fn multiply_around<E: Element>(
    out: &mut [f32],
    a: Matrix,
    b: Matrix<E>,
    start: Start,
    around: Around,
) {
    #[cfg(target_arch = "x86_64")]
    {
        use crate::simd::{SimdLevel, level, multiplies_bf16};
        if E::HALF && multiplies_bf16() {
            return multiply_by::<E, tile::Avx512Bf16>(out, a, b, start, around);
        }
        match level() {
            SimdLevel::Avx512 => return multiply_by::<E, tile::Avx512>(out, a, b, start, around),
            SimdLevel::Avx2 => return multiply_by::<E, tile::Avx2>(out, a, b, start, around),
            SimdLevel::Portable => {}
        }
    }
    multiply_by::<E, tile::Portable>(out, a, b, start, around);
}

/// [`multiply`] with few columns.
fn multiply_narrow(out: &mut [f32], a: Matrix, b: Matrix, start: Start) {
    assert_eq!(out.len(), a.rows * b.columns, "the result's size");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), b.columns, "the bias of a product");
        let rows = out.chunks_exact_mut(bias.len().max(1));
        rows.for_each(|row| row.copy_from_slice(bias));
    }
    let adds = !matches!(start, Start::Zero);
    // SAFETY: `out` holds `a.rows` rows of `b.columns` elements and is borrowed exclusively.
    unsafe {
        multiply_in_place(
            out.as_mut_ptr(),
            b.columns,
            a,
            b,
            adds,
            Parallelism::Rayon(0),
        )
    }
}

/// [`multiply_around`] by tiles that the processor must have.
fn multiply_by<E: Element, T: Tile>(
    out: &mut [f32],
    a: Matrix,
    b: Matrix<E>,
    start: Start,
    around: Around,
) {
    assert_eq!(a.columns, b.rows, "the inner dimensions of a product");
    assert_eq!(out.len(), a.rows * b.columns, "the result's size");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), b.columns, "the bias of a product");
    }
    if out.is_empty() {
        return;
    }
    let in_rows = a.column_stride == 1 && a.row_stride == a.columns;
    assert!(in_rows || !matches!(around, Around::Before(_)));
    assert!(is_whole(&b) || !matches!(around, Around::Onto(_)));
    let height = a.rows.div_ceil(TASKS).next_multiple_of(T::ROWS).min(HEIGHT);
    let width = (PACKED / b.rows.max(1)).max(1).next_multiple_of(T::COLUMNS);
    let to = Target(out.as_mut_ptr());
    for first in (0..b.columns).step_by(width) {
        let columns = first..(first + width).min(b.columns);
        let panels = panels::<E, T>(b, columns.clone());
        let product = Product {
            a,
            panels: &panels,
            columns,
            start,
            to,
            stride: b.columns,
        };
        let rows = |task: usize| task * height..((task + 1) * height).min(a.rows);
        let tasks = a.rows.div_ceil(height);
        let run = |scratch: &mut Scratch, task| product.task::<T>(rows(task), scratch, around);
        if a.rows * b.rows * b.columns < SERIAL {
            let mut scratch = Scratch::default();
            (0..tasks).for_each(|task| run(&mut scratch, task));
        } else {
            let tasks = (0..tasks).into_par_iter();
            tasks.for_each_init(Scratch::default, run);
        }
    }
}

/// What a thread keeps from task to task.
#[derive(Default)]
struct Scratch {
    /// Packed rows of the left side.
    left: Vec<u32>,
    /// Rows that are multiplied, or of the product.
    rows: Vec<f32>,
}

/// The first element of a result that tasks write apart from each other.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: each task of `multiply_by` writes its own rows, within a result that is borrowed exclusively.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// Some columns of a product.
struct Product<'a> {
    a: Matrix<'a>,
    panels: &'a [u32],
    columns: Range<usize>,
    start: Start<'a>,
    to: Target,
    stride: usize,
}

impl Product<'_> {
    /// Computes these columns of some rows, with what is to be done around.
    fn task<T: Tile>(&self, rows: Range<usize>, scratch: &mut Scratch, around: Around) {
        let Scratch { left, rows: own } = scratch;
        // SAFETY: the rows lie in the result.
        let to = |row: usize| Target(unsafe { self.to.0.add(row * self.stride) });
        let (count, depth) = (rows.len(), self.a.columns);
        match around {
            Around::Nothing => self.block::<T>(rows, left),
            Around::Before(map) => {
                own.resize(count * depth, 0.0);
                map(&self.a.data[rows.start * depth..rows.end * depth], own);
                let part = Product {
                    a: Matrix::new(own, count, depth),
                    to: to(rows.start),
                    columns: self.columns.clone(),
                    ..*self
                };
                part.block::<T>(0..count, left);
            }
            Around::Onto(put) => {
                own.resize(count * self.stride, 0.0);
                let part = Product {
                    a: self.a.starting_at_row(rows.start, count),
                    to: Target(own.as_mut_ptr()),
                    columns: self.columns.clone(),
                    ..*self
                };
                part.block::<T>(0..count, left);
                let start = to(rows.start).0;
                // SAFETY: this task has these rows of the result to itself.
                let held = unsafe { core::slice::from_raw_parts_mut(start, count * self.stride) };
                put(held, own);
            }
        }
    }

    /// Computes these columns of some rows; `left` is scratch.
    fn block<T: Tile>(&self, rows: Range<usize>, left: &mut Vec<u32>) {
        const { assert!(T::ROWS * T::COLUMNS <= LARGEST) };
        let wide = self.columns.len().next_multiple_of(T::COLUMNS);
        let depth = self.a.columns;
        // A product without depth still writes what it starts from.
        for first in (0..depth.max(1)).step_by(DEPTH) {
            let steps = first..(first + DEPTH).min(depth);
            let count = units::<T>(steps.len());
            left.clear();
            left.resize(rows.len().div_ceil(T::ROWS) * count * T::ROWS, 0);
            let tiles = rows.clone().step_by(T::ROWS);
            for (out, top) in left.chunks_exact_mut((count * T::ROWS).max(1)).zip(tiles) {
                let rows = top..(top + T::ROWS).min(rows.end);
                pack::<f32, T>(out, T::ROWS, self.a.transposed(), steps.clone(), rows);
            }
            let right = &self.panels[units::<T>(first) * wide..];
            for (panel, column) in self.columns.clone().step_by(T::COLUMNS).enumerate() {
                let right = &right[panel * count * T::COLUMNS..][..count * T::COLUMNS];
                for (tile, top) in rows.clone().step_by(T::ROWS).enumerate() {
                    let left = &left[tile * count * T::ROWS..][..count * T::ROWS];
                    let size = [rows.end - top, self.columns.end - column];
                    self.tile::<T>([left, right], first == 0, [top, column], size);
                }
            }
        }
    }

    /// Computes the tile at a row and column; `size` is what is left of the result from there on.
    fn tile<T: Tile>(
        &self,
        [left, right]: [&[u32]; 2],
        is_first: bool,
        [row, column]: [usize; 2],
        size: [usize; 2],
    ) {
        static NOTHING: [f32; LARGEST] = [0.0; LARGEST];
        let depth = right.len() / T::COLUMNS;
        let (left, right) = (left.as_ptr(), right.as_ptr());
        // SAFETY: the element lies in the result, of which this task has the rows to itself.
        let to = unsafe { self.to.0.add(row * self.stride + column) };
        let (from, from_stride) = match self.start {
            Start::Zero if is_first => (NOTHING.as_ptr(), 0),
            Start::Bias(bias) if is_first => (bias[column..].as_ptr(), 0),
            _ => (to.cast_const(), self.stride),
        };
        let [height, width] = [size[0].min(T::ROWS), size[1].min(T::COLUMNS)];
        // SAFETY: `multiply` has found the instructions, the operands are packed to `depth`, and a whole tile
        // lies in the result (and in the bias or zeros it starts from); at its edges, in a buffer.
        unsafe {
            if [height, width] == [T::ROWS, T::COLUMNS] {
                return T::run(depth, left, right, from, to, [from_stride, self.stride]);
            }
            let mut edge = [0f32; LARGEST];
            for i in 0..height {
                for j in 0..width {
                    edge[i * T::COLUMNS + j] = *from.add(i * from_stride + j);
                }
            }
            let place = edge.as_mut_ptr();
            T::run(depth, left, right, place, place, [T::COLUMNS; 2]);
            for i in 0..height {
                for j in 0..width {
                    *to.add(i * self.stride + j) = edge[i * T::COLUMNS + j];
                }
            }
        }
    }
}

/// A small product on the calling thread, into rows that lie `row_stride` elements apart; on top of what they
/// hold with `adds`.
///
/// # Safety
/// All elements `i * row_stride + j` after `out`, for `i < a.rows` and `j < b.columns`, must be valid to
/// write (and read, to add), and no other thread may touch them meanwhile.
pub(crate) unsafe fn multiply_here(
    out: *mut f32,
    row_stride: usize,
    a: Matrix,
    b: Matrix,
    adds: bool,
) {
    // SAFETY: the caller's promise.
    unsafe { multiply_in_place(out, row_stride, a, b, adds, Parallelism::None) }
}

/// A product by the `gemm` crate, which reads the left side where it lies.
unsafe fn multiply_in_place(
    out: *mut f32,
    row_stride: usize,
    a: Matrix,
    b: Matrix,
    adds: bool,
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
            adds,
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
mod tests;
