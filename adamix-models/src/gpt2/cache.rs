//! Keys and values of the tokens a decoder has already read.

use adamix_kernels::{Lineage, Past};
use burn::tensor::Tensor;

/// The past of a batch of sequences. What was read stays where it is: to repeat, drop or reorder rows
/// changes a list of places, the same for all layers.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    layers: Vec<Past>,
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

    /// The tokens read so far, padding included.
    pub fn tokens(&self) -> usize {
        self.tokens
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
    /// queries attend to.
    ///
    /// # Shapes
    /// - all: `[rows, heads, tokens, head width]`
    pub(super) fn attend(&mut self, layer: usize, [q, k, v]: [Tensor<4>; 3]) -> Tensor<4> {
        if self.layers.len() == layer {
            self.layers.push(Past::new());
        }
        let past = &mut self.layers[layer];
        past.push(k.clone(), v.clone());
        if self.lineage.rows.len() == 1 {
            // Nothing came before: one large product does better than many small ones.
            return adamix_kernels::attention_causal(q, k, v, self.mask.clone(), None);
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
