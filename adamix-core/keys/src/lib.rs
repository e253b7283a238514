//! Random keys: every draw of a run is a function of the seed, its purpose and its coordinates.
//!
//! A [`Key`] names a place in the tree of all draws. Deriving a child (by a purpose or a coordinate)
//! costs a few integer operations and never changes the parent, so there is no state to save, no order
//! to keep, and two runs can share every draw but the one under study.
//!
//! [`mask`] holds the 32-bit variant that dropout uses inside the kernels, on CPU and GPU alike.

#![forbid(unsafe_code)]

pub mod mask;

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014), a bijection of 64 bits.
const fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A place in the tree of all random draws of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The root key of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(mix64(seed.wrapping_add(GAMMA)))
    }

    /// The child at an integer coordinate: a step, a pass, a layer, an example.
    pub const fn fold(self, coordinate: u64) -> Self {
        let c = mix64(coordinate.wrapping_add(GAMMA));
        Self(mix64(self.0.rotate_left(23).wrapping_add(GAMMA) ^ c))
    }

    /// The child for a named purpose or site, such as `"routing"` or a parameter's path.
    pub const fn purpose(self, name: &str) -> Self {
        // FNV-1a over the bytes, then one fold: names of any length become one coordinate.
        let bytes = name.as_bytes();
        let mut hash = 0xCBF2_9CE4_8422_2325u64;
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01B3);
            i += 1;
        }
        self.fold(hash)
    }

    /// 64 uniform bits that belong to this key.
    pub const fn word(self) -> u64 {
        mix64(self.0 ^ 0x6A09_E667_F3BC_C909)
    }

    /// 32 uniform bits that belong to this key, the start of a [`mask`] chain.
    pub const fn word32(self) -> u32 {
        (self.word() >> 32) as u32
    }

    /// A number uniform in `[0, 1)`, with 53 random bits.
    pub fn uniform(self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An integer uniform in `0..n`, without bias.
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn below(self, n: usize) -> usize {
        self.stream().below(n)
    }

    /// A uniformly random permutation of `0..n` (Fisher and Yates).
    pub fn permutation(self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        self.shuffle(&mut order);
        order
    }

    /// Shuffles a slice uniformly.
    pub fn shuffle<T>(self, items: &mut [T]) {
        let mut stream = self.stream();
        for i in (1..items.len()).rev() {
            items.swap(i, stream.below(i + 1));
        }
    }

    /// A generator of as many words as a distribution asks for.
    pub const fn stream(self) -> Stream {
        Stream {
            key: self,
            counter: 0,
        }
    }
}

/// A counter-based generator: word `n` is the word of the key's `n`-th child.
#[derive(Clone, Debug)]
pub struct Stream {
    key: Key,
    counter: u64,
}

impl Stream {
    /// The next 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        let word = self.key.fold(self.counter).word();
        self.counter += 1;
        word
    }

    /// The next integer uniform in `0..n` (Lemire's multiplication with rejection).
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "a draw needs at least one outcome");
        let n = n as u64;
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_fixed_for_ever() {
        // Changing any of these changes every run: raise the run's `semantics` number with them.
        let key = Key::new(42);
        assert_eq!(
            mix64(GAMMA),
            0xE220_A839_7B1D_CDAF,
            "SplitMix64's first output for seed 0"
        );
        // The vectors were computed by an independent implementation in Python.
        let place = key.purpose("routing").fold(7);
        assert_eq!(place.word(), 6952730929386784942);
        assert_eq!(place.word32(), 1618808817);
        assert_eq!(place.uniform(), 0.3769082989174156);
        assert_eq!(key.purpose("data").permutation(6), [2, 3, 5, 1, 4, 0]);
    }

    #[test]
    fn children_differ_from_each_other_and_from_the_parent() {
        let key = Key::new(0);
        let mut seen = std::collections::HashSet::from([key.word()]);
        for i in 0..1000 {
            assert!(seen.insert(key.fold(i).word()));
            assert!(seen.insert(key.fold(i).fold(0).word()));
        }
        assert_ne!(key.fold(1).fold(2), key.fold(2).fold(1));
        assert_ne!(key.purpose("down"), key.purpose("up"));
    }

    #[test]
    fn below_is_uniform() {
        // Chi-square with 6 degrees of freedom: 22.46 is the 0.999 quantile.
        let key = Key::new(3).purpose("uniform");
        let mut counts = [0f64; 7];
        for i in 0..70_000 {
            counts[key.fold(i).below(7)] += 1.0;
        }
        let chi2: f64 = counts.iter().map(|c| (c - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 < 22.46, "{counts:?}");
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Key::new(1).permutation(257);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &v)| i as u32 == v));
    }

    #[test]
    fn uniform_covers_the_unit_interval() {
        let key = Key::new(9);
        let mean = (0..10_000).map(|i| key.fold(i).uniform()).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }
}
