//! Distributions over keyed generators: the bridge from [`adamix_keys`] to `rand_distr`.

use core::convert::Infallible;

use adamix_keys::{Key, Stream};
use rand_core::TryRng;
use rand_distr::{Distribution, Normal, Uniform};

/// A keyed stream as a generator that `rand_distr` can sample from.
#[derive(Debug)]
pub struct KeyedRng(Stream);

impl KeyedRng {
    /// The generator of `key`.
    pub fn new(key: Key) -> Self {
        Self(key.stream())
    }
}

impl TryRng for KeyedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.0.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

/// How a fresh parameter is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// All zeros: biases, and LoRA's B.
    Zeros,
    /// All ones: LayerNorm weights.
    Ones,
    /// Normal with mean 0 and this standard deviation; 0.02 in BERT, RoBERTa and GPT-2.
    Normal(f64),
    /// Uniform in `(-bound, bound)`; LoRA's A uses `1 / sqrt(fan_in)`.
    Uniform(f64),
}

impl Initializer {
    /// `count` values; the same for the same key, on every machine.
    pub fn sample(self, key: Key, count: usize) -> Vec<f32> {
        let mut rng = KeyedRng::new(key);
        match self {
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::Normal(std) => {
                let normal = Normal::new(0.0, std).expect("a finite standard deviation");
                (0..count).map(|_| normal.sample(&mut rng) as f32).collect()
            }
            Self::Uniform(bound) => {
                let uniform = Uniform::new(-bound, bound).expect("a positive bound");
                (0..count)
                    .map(|_| uniform.sample(&mut rng) as f32)
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_has_its_moments() {
        let values = Initializer::Normal(0.02).sample(Key::new(1), 100_000);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 1e5;
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 3e-4, "{mean}");
        assert!((variance.sqrt() - 0.02).abs() < 2e-4, "{variance}");
    }

    #[test]
    fn a_key_gives_the_same_values_and_another_key_others() {
        let draw = |seed| Initializer::Normal(1.0).sample(Key::new(seed), 8);
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }
}
