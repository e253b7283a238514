//! The innermost product: one tile of the result, held in registers.

/// A tile of one instruction set.
///
/// Both operands are packed: for each step along the depth, `ROWS` units of the left and `COLUMNS` of the
/// right side lie together. A unit is the bits of one `f32`, or with `PAIRS` those of two `bf16`, the earlier
/// one low.
pub(super) trait Tile {
    const ROWS: usize;
    const COLUMNS: usize;
    const PAIRS: bool;

    /// Writes `from + left · right` to a tile of the result. Rows of the result lie `strides[1]` apart, those
    /// that they start from `strides[0]`.
    ///
    /// # Safety
    /// The processor must have the tile's instructions, the operands must hold `depth` steps, and `from` and `to`
    /// a whole tile, of which `to` may be written.
    unsafe fn run(
        depth: usize,
        left: *const u32,
        right: *const u32,
        from: *const f32,
        to: *mut f32,
        strides: [usize; 2],
    );
}

/// Defines a tile of `$rows` rows and two vectors of `$vectors` side by side.
macro_rules! tile {
    ($(#[$doc:meta])* $name:ident = $rows:literal x 2 $vectors:ident, pairs: $pairs:literal $(, $feature:meta)?) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl Tile for $name {
            const ROWS: usize = $rows;
            const COLUMNS: usize = 2 * $vectors::LANES;
            const PAIRS: bool = $pairs;

            unsafe fn run(
                depth: usize,
                left: *const u32,
                right: *const u32,
                from: *const f32,
                to: *mut f32,
                strides: [usize; 2],
            ) {
                $(#[$feature])?
                unsafe fn inner(
                    depth: usize,
                    mut left: *const u32,
                    mut right: *const u32,
                    from: *const f32,
                    to: *mut f32,
                    strides: [usize; 2],
                ) {
                    use $vectors::{LANES, load, multiply_add, splat, store};
                    // SAFETY: the caller's promise on what the pointers hold.
                    unsafe {
                        let mut sums = [[load(from); 2]; $rows];
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let from = from.add(row * strides[0]);
                            *sums = [load(from), load(from.add(LANES))];
                        }
                        for _ in 0..depth {
                            let w = [load(right.cast()), load(right.add(LANES).cast())];
                            for (row, sums) in sums.iter_mut().enumerate() {
                                let x = splat(left.add(row).cast());
                                sums[0] = multiply_add(x, w[0], sums[0]);
                                sums[1] = multiply_add(x, w[1], sums[1]);
                            }
                            left = left.add($rows);
                            right = right.add(2 * LANES);
                        }
                        for (row, sums) in sums.iter().enumerate() {
                            let to = to.add(row * strides[1]);
                            store(to, sums[0]);
                            store(to.add(LANES), sums[1]);
                        }
                    }
                }
                // SAFETY: the caller's promise, on the instructions too.
                unsafe { inner(depth, left, right, from, to, strides) }
            }
        }
    };
}

tile! {
    /// For any processor.
    Portable = 4 x 2 portable, pairs: false
}

#[cfg(target_arch = "x86_64")]
tile! {
    /// 12 of 16 registers hold sums.
    Avx2 = 6 x 2 avx2, pairs: false, target_feature(enable = "avx2,fma")
}

#[cfg(target_arch = "x86_64")]
tile! {
    /// 24 of 32 registers hold sums.
    Avx512 = 12 x 2 avx512, pairs: false, target_feature(enable = "avx512f")
}

#[cfg(target_arch = "x86_64")]
tile! {
    /// Products of `bf16`, summed in `f32`.
    Avx512Bf16 = 12 x 2 avx512_bf16, pairs: true, target_feature(enable = "avx512f,avx512bf16")
}

#[cfg(test)]
tile! {
    /// What [`Avx512Bf16`] does, for any processor, so that the layout of pairs is tested everywhere.
    PortablePairs = 4 x 2 portable_pairs, pairs: true
}

mod portable {
    pub(super) const LANES: usize = 4;
    type Vector = [f32; LANES];

    pub(super) unsafe fn load(from: *const f32) -> Vector {
        // SAFETY: the caller's promise; an array of `f32` needs no more alignment than one.
        unsafe { from.cast::<Vector>().read() }
    }

    pub(super) unsafe fn store(to: *mut f32, x: Vector) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<Vector>().write(x) }
    }

    pub(super) unsafe fn splat(from: *const f32) -> Vector {
        // SAFETY: the caller's promise.
        [unsafe { *from }; LANES]
    }

    #[inline(always)]
    pub(super) unsafe fn multiply_add(x: Vector, w: Vector, sum: Vector) -> Vector {
        const FMA: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
        core::array::from_fn(|i| match FMA {
            true => x[i].mul_add(w[i], sum[i]),
            false => x[i] * w[i] + sum[i],
        })
    }
}

#[cfg(test)]
mod portable_pairs {
    pub(super) use super::portable::{LANES, load, splat, store};

    pub(super) unsafe fn multiply_add(
        x: [f32; LANES],
        w: [f32; LANES],
        sum: [f32; LANES],
    ) -> [f32; LANES] {
        let low = |x: f32| f32::from_bits(x.to_bits() << 16);
        let high = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
        core::array::from_fn(|i| sum[i] + low(x[i]) * low(w[i]) + high(x[i]) * high(w[i]))
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use core::arch::x86_64::*;

    pub(super) const LANES: usize = 8;
    pub(super) use core::arch::x86_64::{
        _mm256_fmadd_ps as multiply_add, _mm256_loadu_ps as load, _mm256_storeu_ps as store,
    };

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn splat(from: *const f32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_broadcast_ss(&*from) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use core::arch::x86_64::*;

    pub(super) const LANES: usize = 16;
    pub(super) use core::arch::x86_64::{
        _mm512_fmadd_ps as multiply_add, _mm512_loadu_ps as load, _mm512_storeu_ps as store,
    };

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn splat(from: *const f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_set1_ps(*from) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512_bf16 {
    use core::arch::x86_64::*;

    pub(super) use super::avx512::{LANES, load, splat, store};

    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn multiply_add(x: __m512, w: __m512, sum: __m512) -> __m512 {
        // SAFETY: both types are 512 bits, of which any are valid.
        let pairs = |x: __m512| unsafe { core::mem::transmute::<__m512, __m512bh>(x) };
        _mm512_dpbf16_ps(sum, pairs(x), pairs(w))
    }
}
