//! Keys and values of the tokens a decoder has already read.

use adamix_kernels::{Dropout, Lineage, Past};
use burn::tensor::Tensor;

use crate::mask::with_open_start;

/// The past of a batch of sequences. What was read stays where it is: to repeat, drop or reorder rows
/// changes a list of places, the same for all layers.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    layers: Vec<Past>,
    /// Whether a layer has keys and values before the first token.
    ahead: Vec<bool>,
    lineage: Lineage,
    tokens: usize,
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

    /// Makes ready to read an input of `[rows, tokens]`; its mask may be zero at the left of a row only.
    ///
    /// # Panics
    /// If the cache has another number of rows.
    pub(super) fn begin(&mut self, mask: Option<&Tensor<2>>, [rows, tokens]: [usize; 2]) {
        if let Some(present) = self.lineage.rows.last() {
            assert_eq!(present.len(), rows, "rows of the cache");
        }
        let padding = mask.map_or_else(Vec::new, |mask| leading_zeros(mask, tokens));
        self.lineage.rows.push((0..rows as u32).collect());
        self.lineage.padding.push(padding);
        self.mask = mask.filter(|_| self.tokens == 0).cloned();
        self.tokens += tokens;
    }

    /// Reads a layer's part of the input that [`begin`](Self::begin) has announced, and gives what its
    /// queries attend to. `first` are keys and values before the first token, a segment of its own of this
    /// layer, which comes with the first input.
    ///
    /// # Shapes
    /// - all: `[rows, heads, tokens, head width]`
    pub(super) fn attend(
        &mut self,
        layer: usize,
        first: Option<[Tensor<4>; 2]>,
        [q, k, v]: [Tensor<4>; 3],
    ) -> Tensor<4> {
        if self.layers.len() == layer {
            self.layers.push(Past::new());
            self.ahead.push(first.is_some());
        }
        let past = &mut self.layers[layer];
        if let Some([keys, values]) = &first {
            past.push(keys.clone(), values.clone());
        }
        past.push(k.clone(), v.clone());
        if self.lineage.rows.len() == 1 {
            // Nothing came before: one large product does better than many small ones.
            return attend_once(q, k, v, first, self.mask.clone(), None);
        }
        if !self.ahead[layer] {
            return past.attend(q, &self.lineage);
        }
        let mut lineage = self.lineage.clone();
        lineage.rows.insert(0, lineage.rows[0].clone());
        lineage.padding.insert(0, Vec::new());
        past.attend(q, &lineage)
    }

    /// Puts the given rows in place of the present ones: rows can be repeated, dropped and reordered.
    pub fn select(&mut self, rows: &[usize]) {
        for of in &mut self.lineage.rows {
            *of = rows.iter().map(|row| of[*row]).collect();
        }
    }
}

/// Causal attention of tokens that nothing precedes but, perhaps, `first` keys and values.
pub(super) fn attend_once(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    first: Option<[Tensor<4>; 2]>,
    mask: Option<Tensor<2>>,
    dropout: Option<&Dropout>,
) -> Tensor<4> {
    let Some([keys, values]) = first else {
        return adamix_kernels::attention_causal(q, k, v, mask, dropout);
    };
    let mask = mask.map(|mask| with_open_start(mask, keys.dims()[2]));
    let k = Tensor::cat(vec![keys, k], 2);
    let v = Tensor::cat(vec![values, v], 2);
    adamix_kernels::attention_causal(q, k, v, mask, dropout)
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
