//! Attention on the CPU, one head of one batch row at a time.
//!
//! A head's scores stay in the cache: a block of queries is multiplied with all keys, turned into
//! probabilities, and multiplied with the values. Two numbers a query are kept for the backward pass,
//! which computes the probabilities again. Tensors are read in place, whatever their strides, and
//! written as `[batch, tokens, heads, head_dim]` in memory, which is what the surrounding linear layers
//! read and write.

use super::Settings;
use crate::dropout::Chance;
use crate::flex::{slice, strided, tensor, uninitialised};
use crate::gemm::{Matrix, multiply_here};
use crate::math::{dot, exp, fma, max, sum};
use crate::simd::multiversion;
use adamix_keys::mask;
use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_flex::{FlexTensor, Layout};
use rayon::prelude::*;

/// Queries of one block of scores.
const BLOCK: usize = 128;

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    head_dim: usize,
    causal: bool,
}

impl Sizes {
    fn new(q: &FlexTensor, k: &FlexTensor, settings: &Settings) -> Self {
        let (q, k) = (q.shape(), k.shape());
        // The first block of a head's queries writes what buffers start without.
        assert!(q[2] > 0 && k[2] > 0, "attention without queries or keys");
        Self {
            batch: q[0],
            heads: q[1],
            queries: q[2],
            keys: k[2],
            head_dim: q[3],
            causal: settings.causal,
        }
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.head_dim as f64).sqrt()) as f32
    }

    /// The position of the first query among the keys.
    fn past(&self) -> usize {
        if self.causal {
            self.keys - self.queries
        } else {
            0
        }
    }

    /// How many of `keys` attended keys the query at an index, and all before it, can see.
    fn visible(&self, query: usize, keys: usize) -> usize {
        if self.causal {
            keys.min(self.past() + query + 1)
        } else {
            keys
        }
    }

    /// Ranges of queries, in order.
    fn blocks(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> + use<> {
        let queries = self.queries;
        (0..queries.div_ceil(BLOCK)).map(move |i| (i * BLOCK, BLOCK.min(queries - i * BLOCK)))
    }
}

/// A `[batch, heads, tokens, head_dim]` tensor read in place.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    tensor: FlexTensor,
    strides: [usize; 3],
}

impl Heads {
    /// The tensor as it lies, if its last dimension can be read in one.
    pub(super) fn new(tensor: FlexTensor) -> Self {
        let readable = |tensor: &FlexTensor| {
            let strides = tensor.layout().strides();
            strides[3] == 1 && strides.iter().all(|&stride| stride >= 0)
        };
        let tensor = if readable(&tensor) {
            tensor
        } else {
            tensor.to_contiguous()
        };
        let strides = tensor.layout().strides();
        let strides = [0, 1, 2].map(|i| strides[i] as usize);
        Self { tensor, strides }
    }

    /// The tensor itself.
    pub(super) fn tensor(&self) -> &FlexTensor {
        &self.tensor
    }

    /// Its shape.
    pub(super) fn dims(&self) -> [usize; 4] {
        let shape = self.tensor.layout().shape();
        [0, 1, 2, 3].map(|i| shape[i])
    }

    /// One token of one head.
    pub(super) fn row(&self, [batch, head]: [usize; 2], token: usize) -> &[f32] {
        let layout = self.tensor.layout();
        let start = layout.start_offset()
            + batch * self.strides[0]
            + head * self.strides[1]
            + token * self.strides[2];
        &self.tensor.storage::<f32>()[start..start + layout.shape()[3]]
    }

    /// Some rows (tokens) of one head.
    fn rows(&self, [batch, head]: [usize; 2], first: usize, count: usize) -> Matrix<'_> {
        let layout = self.tensor.layout();
        let start = layout.start_offset()
            + batch * self.strides[0]
            + head * self.strides[1]
            + first * self.strides[2];
        let data = self.tensor.storage::<f32>();
        let shape = [count, layout.shape()[3]];
        Matrix::strided(&data[start.min(data.len())..], shape, [self.strides[2], 1])
    }
}

/// A result that the tasks of one call fill, each its own head.
struct Target {
    buffer: Vec<f32>,
    sizes: Sizes,
    tokens: usize,
}

/// Where the heads of a [`Target`] begin.
#[derive(Clone, Copy)]
struct Cursor {
    start: *mut f32,
    sizes: Sizes,
    tokens: usize,
}

// SAFETY: the pointer is only written through in `Target`'s tasks, each in the columns of its own head.
unsafe impl Send for Cursor {}
// SAFETY: as above.
unsafe impl Sync for Cursor {}

impl Target {
    /// # Safety
    /// Every row of every head must be written before the tensor is read.
    unsafe fn new(sizes: Sizes, tokens: usize) -> Self {
        let len = sizes.batch * sizes.heads * tokens * sizes.head_dim;
        // SAFETY: the caller's promise.
        let buffer = unsafe { uninitialised(len) };
        Self {
            buffer,
            sizes,
            tokens,
        }
    }

    fn cursor(&mut self) -> Cursor {
        Cursor {
            start: self.buffer.as_mut_ptr(),
            sizes: self.sizes,
            tokens: self.tokens,
        }
    }

    fn into_tensor(self) -> FlexTensor {
        let Sizes {
            batch,
            heads,
            head_dim,
            ..
        } = self.sizes;
        let shape = Shape::from([batch, heads, self.tokens, head_dim]);
        let row = heads * head_dim;
        let strides = [self.tokens * row, head_dim, row, 1].map(|stride| stride as isize);
        strided(self.buffer, Layout::new(shape, strides.to_vec(), 0))
    }
}

impl Cursor {
    fn row_stride(&self) -> usize {
        self.sizes.heads * self.sizes.head_dim
    }

    /// Writes or adds a product to the rows of a head from `first` on.
    ///
    /// # Safety
    /// No other thread may use this head meanwhile, and the target must be alive.
    unsafe fn product(&self, head: [usize; 2], first: usize, a: Matrix, b: Matrix, adds: bool) {
        assert!(first + a.rows() <= self.tokens && b.columns() == self.sizes.head_dim);
        // SAFETY: the rows lie in this head's part of the buffer, as just checked.
        unsafe { multiply_here(self.row(head, first), self.row_stride(), a, b, adds) }
    }

    /// Writes zeros to the rows of a head from `first` on.
    ///
    /// # Safety
    /// As for [`Cursor::product`].
    unsafe fn clear(&self, head: [usize; 2], first: usize) {
        for row in first..self.tokens {
            // SAFETY: the row lies in this head's part of the buffer.
            unsafe { self.row(head, row).write_bytes(0, self.sizes.head_dim) }
        }
    }

    /// The start of a row.
    ///
    /// # Safety
    /// The head and the row must exist.
    unsafe fn row(&self, [batch, head]: [usize; 2], row: usize) -> *mut f32 {
        let offset = (batch * self.tokens + row) * self.row_stride() + head * self.sizes.head_dim;
        // SAFETY: the caller's promise keeps the offset inside the buffer.
        unsafe { self.start.add(offset) }
    }
}

/// The additive mask of one batch row, as far as its last key that is no padding.
fn bias(mask: &[f32]) -> Vec<f32> {
    let attended = mask.iter().rposition(|&m| m != 0.0);
    let used = attended.map_or(mask.len(), |last| last + 1);
    mask[..used].iter().map(|m| (m - 1.0) * -f32::MIN).collect()
}

/// The part of a dropout site's masks that belongs to one head.
fn head_dropout(settings: &Settings, [batch, head]: [usize; 2]) -> Option<(u32, Chance)> {
    let dropout = settings.dropout.as_ref()?;
    Some((
        mask::mix(dropout.rows[batch], head as u32),
        dropout.chance(),
    ))
}

/// The result, and for each query the largest score and the reciprocal of the sum of exponentials.
pub(super) fn forward(
    [q, k, v]: [FlexTensor; 3],
    padding: FlexTensor,
    settings: &Settings,
) -> (FlexTensor, FlexTensor) {
    let sizes = Sizes::new(&q, &k, settings);
    let [q, k, v] = [q, k, v].map(Heads::new);
    let padding = padding.to_contiguous();
    let padding = slice(&padding);
    // SAFETY: each task writes all rows of its head.
    let mut output = unsafe { Target::new(sizes, sizes.queries) };
    let cursor = output.cursor();
    let mut statistics = vec![0.0; sizes.batch * sizes.heads * sizes.queries * 2];
    statistics
        .par_chunks_mut((2 * sizes.queries).max(1))
        .enumerate()
        .for_each_init(Vec::new, |scores, (task, statistics)| {
            let head = [task / sizes.heads, task % sizes.heads];
            let bias = bias(&padding[head[0] * sizes.keys..][..sizes.keys]);
            let keys = bias.len();
            let dropout = head_dropout(settings, head);
            for (first, count) in sizes.blocks() {
                let keys = sizes.visible(first + count - 1, keys);
                scores.resize(count * keys, 0.0);
                raw_scores(scores, &q, &k, head, [first, count, keys]);
                probabilities(
                    scores,
                    &bias[..keys],
                    sizes,
                    first,
                    dropout,
                    &mut statistics[2 * first..][..2 * count],
                );
                let weights = Matrix::new(scores, count, keys);
                let values = v.rows(head, 0, keys);
                // SAFETY: this task alone writes this head; the target outlives the loop.
                unsafe { cursor.product(head, first, weights, values, false) };
            }
        });
    let shape = Shape::from([sizes.batch, sizes.heads, sizes.queries, 2]);
    (output.into_tensor(), tensor(statistics, shape))
}

/// The gradients of queries, keys and values.
pub(super) fn backward(
    [q, k, v]: [FlexTensor; 3],
    padding: FlexTensor,
    statistics: FlexTensor,
    gradient: FlexTensor,
    settings: &Settings,
) -> [FlexTensor; 3] {
    let sizes = Sizes::new(&q, &k, settings);
    let [q, k, v, gradient] = [q, k, v, gradient].map(Heads::new);
    let padding = padding.to_contiguous();
    let padding = slice(&padding);
    // SAFETY: each task writes all rows of its head: those of the queries block by block, those of the
    // attended keys with the first block, and zeros for the others.
    let mut targets = unsafe {
        [
            Target::new(sizes, sizes.queries),
            Target::new(sizes, sizes.keys),
            Target::new(sizes, sizes.keys),
        ]
    };
    let [dq, dk, dv] = targets.each_mut().map(Target::cursor);
    slice(&statistics)
        .par_chunks((2 * sizes.queries).max(1))
        .enumerate()
        .for_each_init(
            || [const { Vec::new() }; 3],
            |[scores, slopes, factors], (task, statistics)| {
                let head = [task / sizes.heads, task % sizes.heads];
                let bias = bias(&padding[head[0] * sizes.keys..][..sizes.keys]);
                let attended = bias.len();
                let dropout = head_dropout(settings, head);
                let mut adds = false;
                // From the last block, which sees the most keys.
                for (first, count) in sizes.blocks().rev() {
                    let keys = sizes.visible(first + count - 1, attended);
                    scores.resize(count * keys, 0.0);
                    slopes.resize(count * keys, 0.0);
                    factors.resize(keys, 1.0);
                    raw_scores(scores, &q, &k, head, [first, count, keys]);
                    let upstream = gradient.rows(head, first, count);
                    let values = v.rows(head, 0, keys).transposed();
                    multiply_rows(slopes, upstream, values);
                    score_gradients(
                        scores,
                        slopes,
                        &bias[..keys],
                        sizes,
                        first,
                        dropout,
                        &statistics[2 * first..][..2 * count],
                        factors,
                    );
                    let weights = Matrix::new(scores, count, keys).transposed();
                    let slopes = Matrix::new(slopes, count, keys);
                    let queries = q.rows(head, first, count);
                    // SAFETY: this task alone writes this head; the targets outlive the loop.
                    unsafe {
                        dq.product(head, first, slopes, k.rows(head, 0, keys), false);
                        dk.product(head, 0, slopes.transposed(), queries, adds);
                        dv.product(head, 0, weights, upstream, adds);
                    }
                    adds = true;
                }
                // SAFETY: as above.
                unsafe {
                    dk.clear(head, attended);
                    dv.clear(head, attended);
                }
            },
        );
    targets.map(Target::into_tensor)
}

/// The products of a block of queries with the first keys.
fn raw_scores(
    scores: &mut [f32],
    q: &Heads,
    k: &Heads,
    head: [usize; 2],
    [first, count, keys]: [usize; 3],
) {
    let queries = q.rows(head, first, count);
    multiply_rows(scores, queries, k.rows(head, 0, keys).transposed());
}

/// A product into a buffer of the calling task.
fn multiply_rows(out: &mut [f32], a: Matrix, b: Matrix) {
    assert_eq!(out.len(), a.rows() * b.columns());
    // SAFETY: the buffer is borrowed exclusively and has the size of the product.
    unsafe { multiply_here(out.as_mut_ptr(), b.columns(), a, b, false) }
}

multiversion! {
    /// Turns scores into probabilities with dropout, and writes each row's largest score and scale.
    fn probabilities(
        scores: &mut [f32], bias: &[f32], sizes: Sizes, first: usize, dropout: Option<(u32, Chance)>,
        statistics: &mut [f32],
    ) = probabilities_body
}
multiversion! {
    /// Turns scores into probabilities with dropout, and the gradients of these (in `slopes`) into those
    /// of the scores; `factors` is scratch of one row.
    fn score_gradients(
        scores: &mut [f32], slopes: &mut [f32], bias: &[f32], sizes: Sizes, first: usize,
        dropout: Option<(u32, Chance)>, statistics: &[f32], factors: &mut [f32],
    ) = score_gradients_body
}

#[inline(always)]
fn probabilities_body<const FMA: bool>(
    scores: &mut [f32],
    bias: &[f32],
    sizes: Sizes,
    first: usize,
    dropout: Option<(u32, Chance)>,
    statistics: &mut [f32],
) {
    let keys = bias.len();
    let scale = sizes.scale();
    let rows = scores
        .chunks_exact_mut(keys)
        .zip(statistics.chunks_exact_mut(2));
    for (query, (row, statistics)) in (first..).zip(rows) {
        let (row, future) = row.split_at_mut(sizes.visible(query, keys));
        for (score, bias) in row.iter_mut().zip(bias) {
            *score = fma::<FMA>(*score, scale, *bias);
        }
        let largest = max(row);
        for score in row.iter_mut() {
            *score = exp::<FMA>(*score - largest);
        }
        let norm = 1.0 / sum(row);
        statistics[0] = largest;
        statistics[1] = norm;
        match dropout {
            None => row.iter_mut().for_each(|p| *p *= norm),
            Some((state, chance)) => {
                let state = mask::mix(state, (sizes.past() + query) as u32);
                for (key, p) in (0u32..).zip(row.iter_mut()) {
                    *p = *p * norm * chance.factor(state, key);
                }
            }
        }
        future.fill(0.0);
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn score_gradients_body<const FMA: bool>(
    scores: &mut [f32],
    slopes: &mut [f32],
    bias: &[f32],
    sizes: Sizes,
    first: usize,
    dropout: Option<(u32, Chance)>,
    statistics: &[f32],
    factors: &mut [f32],
) {
    let keys = bias.len();
    let scale = sizes.scale();
    let rows = scores
        .chunks_exact_mut(keys)
        .zip(slopes.chunks_exact_mut(keys))
        .zip(statistics.chunks_exact(2));
    for (query, ((scores, slopes), statistics)) in (first..).zip(rows) {
        let visible = sizes.visible(query, keys);
        let (row, future) = scores.split_at_mut(visible);
        let (slopes, future_slopes) = slopes.split_at_mut(visible);
        let [largest, norm] = [statistics[0], statistics[1]];
        for (score, bias) in row.iter_mut().zip(bias) {
            *score = exp::<FMA>(fma::<FMA>(*score, scale, *bias) - largest) * norm;
        }
        if let Some((state, chance)) = dropout {
            let state = mask::mix(state, (sizes.past() + query) as u32);
            for (key, (factor, slope)) in (0u32..).zip(factors.iter_mut().zip(slopes.iter_mut())) {
                *factor = chance.factor(state, key);
                *slope *= *factor;
            }
        }
        let mean = dot::<FMA>(row, slopes);
        for (slope, p) in slopes.iter_mut().zip(row.iter()) {
            *slope = scale * p * (*slope - mean);
        }
        if dropout.is_some() {
            for (p, factor) in row.iter_mut().zip(factors.iter()) {
                *p *= factor;
            }
        }
        future.fill(0.0);
        future_slopes.fill(0.0);
    }
}
