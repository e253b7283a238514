//! Keys and values of the tokens a decoder has already read.

use adamix_kernels::{Lineage, Past};
use burn::tensor::Tensor;

use crate::mask::with_open_start;

/// The past of a batch of sequences. What was read stays where it is: to repeat, drop or reorder rows
/// changes a list of places, the same for all layers.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    layers: Vec<Past>,
    lineage: Lineage,
    tokens: usize,
    /// How many virtual tokens stand before those of the input that is being read.
    ahead: usize,
    /// The mask of the only segment so far, as long as it is the only one.
    mask: Option<Tensor<2>>,
}

impl Cache {
    /// The past of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tokens read so far, padding included; what a prefix puts before them is not counted.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Whether a layer has a past.
    pub(super) fn has(&self, layer: usize) -> bool {
        self.layers.len() > layer
    }

    /// Makes ready to read an input of `[rows, tokens]`, `ahead` virtual tokens before it; its mask may be zero
    /// at the left of a row only.
    ///
    /// # Panics
    /// If the cache has another number of rows.
    pub(super) fn begin(
        &mut self,
        mask: Option<&Tensor<2>>,
        [rows, tokens]: [usize; 2],
        ahead: usize,
    ) {
        if let Some(present) = self.lineage.rows.last() {
            assert_eq!(present.len(), rows, "rows of the cache");
        }
        let padding = mask.map_or_else(Vec::new, |mask| leading_zeros(mask, tokens));
        self.lineage.rows.push((0..rows as u32).collect());
        self.lineage.padding.push(padding);
        let first = mask.filter(|_| self.tokens == 0).cloned();
        self.mask = first.map(|mask| with_open_start(mask, ahead));
        self.ahead = ahead;
        self.tokens += ahead + tokens;
    }

    /// Reads a layer's part of the input that [`begin`](Self::begin) has announced, and gives what its
    /// queries attend to. Keys and values may begin with a prefix that has no queries.
    ///
    /// # Shapes
    /// - `q` and output: `[rows, heads, tokens, head width]`
    /// - `k`, `v`: `[rows, heads, prefix and tokens, head width]`
    pub(super) fn attend(&mut self, layer: usize, [q, k, v]: [Tensor<4>; 3]) -> Tensor<4> {
        if self.layers.len() == layer {
            self.layers.push(Past::new());
        }
        let past = &mut self.layers[layer];
        let more = k.dims()[2] - q.dims()[2];
        let behind = |tensor: &Tensor<4>| to_the_end(tensor.clone(), self.ahead + more);
        past.push(behind(&k), behind(&v));
        if self.lineage.rows.len() == 1 {
            // Nothing came before: one large product does better than many small ones.
            let mask = self.mask.clone().map(|mask| with_open_start(mask, more));
            return adamix_kernels::attention_causal(q, k, v, mask, None);
        }
        past.attend(q, &self.lineage)
    }

    /// Puts the given rows in place of the present ones: rows can be repeated, dropped and reordered.
    pub fn select(&mut self, rows: &[usize]) {
        for of in &mut self.lineage.rows {
            *of = rows.iter().map(|row| of[*row]).collect();
        }
    }
}

/// The first `count` tokens behind the others: a row's padding then comes first again, and the order of a past
/// is of no account.
fn to_the_end(tensor: Tensor<4>, count: usize) -> Tensor<4> {
    if count == 0 {
        return tensor;
    }
    let others = tensor.dims()[2] - count;
    let (first, rest) = (
        tensor.clone().narrow(2, 0, count),
        tensor.narrow(2, count, others),
    );
    Tensor::cat(vec![rest, first], 2)
}

/// How many values of each row of a mask are zero before the first that is not.
fn leading_zeros(mask: &Tensor<2>, tokens: usize) -> Vec<u32> {
    let values: Vec<f32> = mask
        .to_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("f32 values");
    values
        .chunks(tokens.max(1))
        .map(|row| row.iter().take_while(|m| **m == 0.0).count() as u32)
        .collect()
}
