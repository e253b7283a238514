//! An adapter in no program's layout: what is done to which module of a base model, by Hugging Face path.
//!
//! Everything that comes in or goes out passes through here: PEFT folders, `.bin` files of loralib, and our
//! own adapters once their experts are merged or one of them is chosen.

use std::collections::BTreeMap;

use adamix_core::parameter::HostTensor;

/// The update `scale · B A` of one affine map.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankUpdate {
    /// `[rank, input]`.
    pub a: HostTensor,
    /// `[output, rank]`.
    pub b: HostTensor,
    /// What the product is multiplied by.
    pub scale: f64,
}

/// Where (IA)³'s factors stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorSide {
    /// They multiply what goes into the map.
    Input,
    /// They multiply what comes out of it, bias included.
    Output,
}

/// The factors of one affine map.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// One factor a feature.
    pub values: Vec<f32>,
    /// Which features.
    pub side: FactorSide,
}

/// An adapter with one module a site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortableAdapter {
    /// Low-rank updates by module.
    pub low_rank: BTreeMap<String, LowRankUpdate>,
    /// (IA)³ factors by module.
    pub factors: BTreeMap<String, Factors>,
    /// Keys and values before the sequence's own: `[tokens, layers · 2 · width]`, a layer's keys, then its
    /// values.
    pub prefix: Option<HostTensor>,
    /// Parameters of the base or its head that the adapter replaces, such as a task's classifier.
    pub parameters: BTreeMap<String, HostTensor>,
}

impl LowRankUpdate {
    /// The rank.
    pub fn rank(&self) -> usize {
        self.a.shape[0]
    }

    /// Input and output features.
    pub fn features(&self) -> [usize; 2] {
        [self.a.shape[1], self.b.shape[0]]
    }

    /// Several updates of consecutive parts of one map's output as a single one, for a map that makes
    /// queries, keys and values at once: B is block-diagonal, with zero rows for a part that has none
    /// (`None`). The scale goes into B where the parts differ in it.
    ///
    /// # Panics
    /// If no part has an update or the inputs differ.
    pub fn stacked(parts: &[Option<&Self>]) -> Self {
        let present: Vec<&Self> = parts.iter().flatten().copied().collect();
        let [input, width] = present[0].features();
        let scales = present.iter().map(|part| part.scale);
        let scale = scales
            .into_iter()
            .find(|scale| *scale != 0.0)
            .unwrap_or(0.0);
        let rank: usize = present.iter().map(|part| part.rank()).sum();
        let mut a = Vec::with_capacity(rank * input);
        let mut b = vec![0f32; parts.len() * width * rank];
        let mut column = 0;
        for (i, part) in parts.iter().enumerate() {
            let Some(part) = part else { continue };
            assert_eq!(part.features(), [input, width], "parts of one map");
            let r = part.rank();
            let factor = match part.scale == scale {
                true => 1.0,
                false => part.scale / scale,
            };
            a.extend_from_slice(&part.a.values);
            for (row, values) in part.b.values.chunks(r).enumerate() {
                let start = (i * width + row) * rank + column;
                for (to, from) in b[start..start + r].iter_mut().zip(values) {
                    *to = (f64::from(*from) * factor) as f32;
                }
            }
            column += r;
        }
        Self {
            a: HostTensor {
                shape: vec![rank, input],
                values: a,
            },
            b: HostTensor {
                shape: vec![parts.len() * width, rank],
                values: b,
            },
            scale,
        }
    }

    /// The dense update, row-major `[output, input]`.
    pub fn product(&self) -> Vec<f32> {
        let ([input, output], rank) = (self.features(), self.rank());
        let mut dense = Vec::with_capacity(output * input);
        let mut row = vec![0f64; input];
        for b in self.b.values.chunks(rank.max(1)).take(output) {
            row.fill(0.0);
            for (b, a) in b.iter().zip(self.a.values.chunks(input)) {
                let b = f64::from(*b) * self.scale;
                for (sum, a) in row.iter_mut().zip(a) {
                    *sum += b * f64::from(*a);
                }
            }
            dense.extend(row.iter().map(|v| *v as f32));
        }
        dense
    }
}

impl PortableAdapter {
    /// The number of values, parameters of the base or head included.
    pub fn count(&self) -> usize {
        let low_rank = self.low_rank.values();
        let low_rank = low_rank.map(|u| u.a.values.len() + u.b.values.len());
        let factors = self.factors.values().map(|f| f.values.len());
        let prefix = self.prefix.iter().map(|p| p.values.len());
        let parameters = self.parameters.values().map(|p| p.values.len());
        low_rank
            .chain(factors)
            .chain(prefix)
            .chain(parameters)
            .sum()
    }

    /// The modules that have an update or factors.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        let factors = self.factors.keys();
        self.low_rank.keys().chain(factors).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: [usize; 2], values: &[f32]) -> HostTensor {
        HostTensor {
            shape: shape.to_vec(),
            values: values.to_vec(),
        }
    }

    fn update(a: f32, b: [f32; 2], scale: f64) -> LowRankUpdate {
        LowRankUpdate {
            a: tensor([1, 2], &[a, 2.0 * a]),
            b: tensor([2, 1], &b),
            scale,
        }
    }

    #[test]
    fn the_product_is_scale_times_b_a() {
        assert_eq!(
            update(1.0, [3.0, 5.0], 2.0).product(),
            [6.0, 12.0, 10.0, 20.0]
        );
    }

    #[test]
    fn stacked_parts_have_zero_rows_between_and_keep_their_products() {
        let (q, v) = (update(1.0, [3.0, 5.0], 2.0), update(7.0, [1.0, -1.0], 4.0));
        let whole = LowRankUpdate::stacked(&[Some(&q), None, Some(&v)]);
        assert_eq!((whole.rank(), whole.features()), (2, [2, 6]));
        let mut expected = q.product();
        expected.extend([0.0; 4]);
        expected.extend(v.product());
        assert_eq!(whole.product(), expected);
        let off = update(1.0, [3.0, 5.0], 0.0);
        for parts in [[Some(&off), Some(&v)], [Some(&v), Some(&off)]] {
            let found = LowRankUpdate::stacked(&parts).product();
            let expected = parts.map(|part| part.unwrap().product()).concat();
            assert_eq!(found, expected);
        }
        let none = LowRankUpdate::stacked(&[Some(&off), Some(&off)]);
        assert_eq!((none.scale, none.b.values[0]), (0.0, 3.0));
    }
}
