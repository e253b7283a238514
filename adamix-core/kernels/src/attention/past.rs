//! Attention of new tokens to all that was read before them, wherever it lies.
//!
//! While a text grows, the keys and values of each step stay where the step has put them. A row of the
//! batch finds its past by a list of places, so that hypotheses are repeated, dropped and reordered
//! without a number being copied.

use super::kernel::Heads;
use crate::device::is_fused;
use crate::flex::{strided, uninitialised};
use crate::math::{dot, exp, fma, max, sum};
use crate::simd::multiversion;
use burn::backend::Flex;
use burn::tensor::{Int, Shape, Tensor, TensorData};
use burn_flex::{FlexTensor, Layout};
use rayon::prelude::*;

/// Products below which a call stays on its thread: waking another costs more.
const SERIAL: usize = 1 << 18;

/// The keys and values of one layer, as they were read.
#[derive(Clone, Debug, Default)]
pub struct Past {
    segments: Vec<Segment>,
}

/// What was read at once.
#[derive(Clone, Debug)]
enum Segment {
    /// On the CPU backend.
    Fused(Box<[Heads; 2]>),
    /// On any other.
    Plain(Box<[Tensor<4>; 2]>),
}

/// Where the past of each present row lies; the same in every layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// For each segment, oldest first: the row of it that each present row goes back to.
    pub rows: Vec<Vec<u32>>,
    /// For each segment: how many tokens of each of its rows, from the left, are padding; empty if none are.
    pub padding: Vec<Vec<u32>>,
}

impl Lineage {
    /// The first token of a segment that a present row may attend to.
    fn first(&self, segment: usize, row: u32) -> usize {
        let padding = self.padding[segment].get(row as usize);
        padding.map_or(0, |count| *count as usize)
    }
}

impl Past {
    /// Nothing read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was read at once. On the CPU backend the tensors are kept as they are, views too.
    ///
    /// # Shapes
    /// - `keys`, `values`: `[rows, heads, tokens, head_dim]`
    pub fn push(&mut self, keys: Tensor<4>, values: Tensor<4>) {
        assert_eq!(keys.dims(), values.dims(), "keys and values");
        let segment = match (primitive(&keys), primitive(&values)) {
            (Some(keys), Some(values)) => Segment::Fused(Box::new([keys, values].map(Heads::new))),
            _ => Segment::Plain(Box::new([keys, values])),
        };
        self.segments.push(segment);
    }

    /// What the queries of the tokens pushed last give: each attends to the whole past of its row, and of
    /// its own segment to itself and what comes before it. A token that sees nothing but padding, which can
    /// only be padding itself, gives zeros where the kernel runs, and elsewhere the mean of the padding.
    ///
    /// # Shapes
    /// - `q` and result: `[rows, heads, tokens, head_dim]`
    ///
    /// # Panics
    /// If the lineage is not of this past, or the shapes do not fit.
    pub fn attend(&self, q: Tensor<4>, lineage: &Lineage) -> Tensor<4> {
        assert_eq!(lineage.rows.len(), self.segments.len(), "segments");
        assert_eq!(lineage.padding.len(), self.segments.len(), "segments");
        let [rows, ..] = q.dims();
        assert!(
            lineage.rows.iter().all(|of| of.len() == rows),
            "a lineage of {rows} rows"
        );
        let fused: Option<Vec<&[Heads; 2]>> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Fused(heads) => Some(&**heads),
                Segment::Plain(_) => None,
            })
            .collect();
        match (fused, primitive(&q)) {
            (Some(segments), Some(q)) => {
                Tensor::from_primitive::<Flex>(fused_attend(Heads::new(q), &segments, lineage))
            }
            _ => self.composed(q, lineage),
        }
    }

    /// The same from Burn's own operations.
    fn composed(&self, q: Tensor<4>, lineage: &Lineage) -> Tensor<4> {
        let device = q.device();
        let rows = q.dims()[0];
        let (mut keys, mut values, mut masks) = (Vec::new(), Vec::new(), Vec::new());
        for (i, segment) in self.segments.iter().enumerate() {
            let of: Vec<i32> = lineage.rows[i].iter().map(|row| *row as i32).collect();
            let of = Tensor::<1, Int>::from_data(of.as_slice(), &device);
            let [k, v] = segment.tensors().map(|t| t.select(0, of.clone()));
            let tokens = k.dims()[2];
            let mask: Vec<f32> = lineage.rows[i]
                .iter()
                .flat_map(|row| {
                    let first = lineage.first(i, *row);
                    (0..tokens).map(move |token| f32::from(u8::from(token >= first)))
                })
                .collect();
            masks.push(Tensor::<2>::from_data(
                TensorData::new(mask, [rows, tokens]),
                &device,
            ));
            keys.push(k);
            values.push(v);
        }
        let mask = Tensor::cat(masks, 1);
        super::composed(
            q,
            Tensor::cat(keys, 2),
            Tensor::cat(values, 2),
            Some(mask),
            true,
            None,
        )
    }
}

impl Segment {
    fn tensors(&self) -> [Tensor<4>; 2] {
        match self {
            Self::Fused(heads) => heads
                .each_ref()
                .map(|heads| Tensor::from_primitive::<Flex>(heads.tensor().clone())),
            Self::Plain(tensors) => (**tensors).clone(),
        }
    }
}

/// A tensor of the CPU backend outside autodiff.
fn primitive(tensor: &Tensor<4>) -> Option<FlexTensor> {
    if !is_fused(tensor) {
        return None;
    }
    tensor.clone().try_into_primitive::<Flex>().ok()
}

fn fused_attend(q: Heads, segments: &[&[Heads; 2]], lineage: &Lineage) -> FlexTensor {
    let [rows, heads, tokens, head_dim] = q.dims();
    let own = segments.len() - 1;
    assert_eq!(segments[own][0].dims()[2], tokens, "tokens pushed last");
    // SAFETY: every task writes all of its row.
    let mut buffer = unsafe { uninitialised(rows * tokens * heads * head_dim) };
    let keys: usize = segments.iter().map(|[keys, _]| keys.dims()[2]).sum();
    let scale = (1.0 / (head_dim as f64).sqrt()) as f32;
    let row_of = |(row, out): (usize, &mut [f32])| {
        let (mut scores, mut places) = (Vec::new(), Vec::with_capacity(keys));
        for head in 0..heads {
            places.clear();
            for (i, [keys, values]) in segments.iter().enumerate() {
                let of = lineage.rows[i][row];
                let place = [of as usize, head];
                for token in lineage.first(i, of)..keys.dims()[2] {
                    places.push((keys.row(place, token), values.row(place, token)));
                }
            }
            for token in 0..tokens {
                let out = &mut out[(token * heads + head) * head_dim..][..head_dim];
                let visible = (places.len() + token + 1).saturating_sub(tokens);
                let query = q.row([row, head], token);
                attend(query, &places[..visible], scale, &mut scores, out);
            }
        }
    };
    let size = (tokens * heads * head_dim).max(1);
    if rows * size * keys < SERIAL {
        buffer.chunks_mut(size).enumerate().for_each(row_of);
    } else {
        buffer.par_chunks_mut(size).enumerate().for_each(row_of);
    }
    let shape = Shape::from([rows, heads, tokens, head_dim]);
    let width = heads * head_dim;
    let strides = [tokens * width, head_dim, width, 1].map(|stride| stride as isize);
    strided(buffer, Layout::new(shape, strides.to_vec(), 0))
}

multiversion! {
    /// One query over keys and values.
    fn attend(
        query: &[f32], places: &[(&[f32], &[f32])], scale: f32, scores: &mut Vec<f32>, out: &mut [f32],
    ) = attend_body
}

#[inline(always)]
fn attend_body<const FMA: bool>(
    query: &[f32],
    places: &[(&[f32], &[f32])],
    scale: f32,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    // Loops, not closures: those would not be compiled for the kernel's instruction set.
    scores.resize(places.len(), 0.0);
    for (score, (key, _)) in scores.iter_mut().zip(places) {
        *score = scale * dot::<FMA>(query, key);
    }
    let largest = max(scores);
    for score in scores.iter_mut() {
        *score = exp::<FMA>(*score - largest);
    }
    let norm = 1.0 / sum(scores);
    out.fill(0.0);
    for (score, (_, value)) in scores.iter().zip(places) {
        let weight = score * norm;
        for (o, v) in out.iter_mut().zip(*value) {
            *o = fma::<FMA>(weight, *v, *o);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{attention, close, host, plain, values, wide};
    use proptest::prelude::*;

    const HEADS: usize = 3;
    const WIDTH: usize = 5;

    /// Keys and values of a segment.
    fn segment(seed: u64, rows: usize, tokens: usize) -> [Vec<f32>; 2] {
        [seed, seed ^ 77].map(|seed| values(seed, rows * HEADS * tokens * WIDTH, 2.0))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Two prompts of which one is padded; each is continued by some rows, which cross over once.
        #[test]
        fn equals_attention_to_the_gathered_past(
            tokens in 1usize..7, last in 1usize..4, padding in 0usize..3,
            first in prop::collection::vec(0u32..2, 1..5), swap: u64, seed: u64,
        ) {
            let (rows, padding) = (first.len(), padding.min(tokens - 1));
            let second: Vec<u32> = (0..rows as u64).map(|i| ((swap >> i) % rows as u64) as u32).collect();
            let prompt = segment(seed, 2, tokens);
            let step = segment(seed ^ 1, rows, 1);
            let own = segment(seed ^ 2, rows, last);
            let lineage = Lineage {
                rows: vec![
                    second.iter().map(|row| first[*row as usize]).collect(),
                    second.clone(),
                    (0..rows as u32).collect(),
                ],
                padding: vec![vec![0, padding as u32], vec![], vec![]],
            };
            let queries = values(seed ^ 3, rows * HEADS * last * WIDTH, 2.0);
            let mut past = Past::new();
            let mut gathered = [Vec::new(), Vec::new()];
            let mut mask = Vec::new();
            let sizes = [tokens, 1, last];
            for (i, [keys, vals]) in [&prompt, &step, &own].into_iter().enumerate() {
                let count = if i == 0 { 2 } else { rows };
                let dims = [count, HEADS, sizes[i], WIDTH];
                // As a view, which is how a layer has it.
                let view = |x: &[f32]| plain::<4>(x, dims).swap_dims(1, 2).repeat(&[1, 1, 1, 1]).swap_dims(1, 2);
                past.push(view(keys), view(vals));
            }
            for row in 0..rows {
                for (i, size) in sizes.iter().enumerate() {
                    let of = lineage.rows[i][row];
                    mask.extend((0..*size).map(|t| if t >= lineage.first(i, of) { 1.0f32 } else { 0.0 }));
                }
                for head in 0..HEADS {
                    for (i, parts) in [&prompt, &step, &own].into_iter().enumerate() {
                        let of = lineage.rows[i][row] as usize;
                        let size = sizes[i] * WIDTH;
                        for (all, part) in gathered.iter_mut().zip(parts) {
                            all.extend_from_slice(&part[(of * HEADS + head) * size..][..size]);
                        }
                    }
                }
            }
            let keys = tokens + 1 + last;
            let expected = attention(
                [&wide(&queries), &wide(&gathered[0]), &wide(&gathered[1])],
                &mask, None, true, [rows, HEADS, last, keys, WIDTH],
            );
            let q: Tensor<4> = plain(&queries, [rows, HEADS, last, WIDTH]);
            close(&past.attend(q.clone(), &lineage), &expected, 1e-5);
            close(&past.composed(q, &lineage), &expected, 1e-5);
        }
    }

    #[test]
    fn padding_alone_gives_zeros_and_threads_do_not_matter() {
        let [keys, vals] = segment(4, 2, 3).map(|x| plain::<4>(&x, [2, HEADS, 3, WIDTH]));
        let mut past = Past::new();
        past.push(keys.clone(), vals);
        let lineage = Lineage {
            rows: vec![vec![0, 1]],
            padding: vec![vec![0, 3]],
        };
        let found = host(&past.attend(keys, &lineage));
        assert!(found[HEADS * 3 * WIDTH..].iter().all(|x| *x == 0.0));
        assert!(found[..HEADS * 3 * WIDTH].iter().all(|x| x.is_finite()));

        let (rows, tokens) = (40, 70);
        let mut past = Past::new();
        let [keys, vals] =
            segment(5, rows, tokens).map(|x| plain::<4>(&x, [rows, HEADS, tokens, WIDTH]));
        past.push(keys.clone(), vals);
        let lineage = Lineage {
            rows: vec![(0..rows as u32).collect()],
            padding: vec![vec![]],
        };
        crate::reference::same(|| past.attend(keys.clone(), &lineage));
    }
}
