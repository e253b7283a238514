//! Keys and values of the tokens a decoder has already read.

use burn::tensor::{Int, Tensor};

/// The past of a batch of sequences, one pair of tensors a layer.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    layers: Vec<(Tensor<4>, Tensor<4>)>,
    tokens: usize,
    /// `[rows, tokens]`, 0 for padding; absent if no row was ever padded.
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

    /// Adds the new tokens' keys and values of a layer and gives those of all tokens.
    ///
    /// # Shapes
    /// - `keys`, `values`: `[rows, heads, new tokens, head width]`
    /// - output: `[rows, heads, all tokens, head width]`
    pub(super) fn extend(
        &mut self,
        layer: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        match self.layers.get_mut(layer) {
            None => self.layers.push((keys, values)),
            Some(past) => {
                let (old_keys, old_values) = past.clone();
                *past = (
                    Tensor::cat(vec![old_keys, keys], 2),
                    Tensor::cat(vec![old_values, values], 2),
                );
            }
        }
        self.layers[layer].clone()
    }

    /// The mask over all tokens, those of a new input included, which are counted as read.
    pub(super) fn extend_mask(
        &mut self,
        new: Option<Tensor<2>>,
        [rows, tokens]: [usize; 2],
    ) -> Option<Tensor<2>> {
        let past = self.tokens;
        self.tokens += tokens;
        self.mask = match (self.mask.take(), new) {
            (None, None) => None,
            (None, Some(new)) if past == 0 => Some(new),
            (old, new) => {
                let device = match (&old, &new) {
                    (Some(mask), _) | (None, Some(mask)) => mask.device(),
                    (None, None) => unreachable!("covered above"),
                };
                let old = old.unwrap_or_else(|| Tensor::ones([rows, past], &device));
                let new = new.unwrap_or_else(|| Tensor::ones([rows, tokens], &device));
                Some(Tensor::cat(vec![old, new], 1))
            }
        };
        self.mask.clone()
    }

    /// Puts the given rows in place of the present ones: rows can be repeated, dropped and reordered.
    pub fn select(&mut self, rows: &[usize]) {
        let Some((keys, _)) = self.layers.first() else {
            return;
        };
        if rows.iter().copied().eq(0..keys.dims()[0]) {
            return;
        }
        let indices: Vec<i32> = rows.iter().map(|r| *r as i32).collect();
        let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &keys.device());
        for (keys, values) in &mut self.layers {
            *keys = keys.clone().select(0, indices.clone());
            *values = values.clone().select(0, indices.clone());
        }
        self.mask = self.mask.take().map(|mask| mask.select(0, indices));
    }
}
