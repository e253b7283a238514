//! What the processor can do.

use std::fmt;
use std::sync::OnceLock;

/// The widest instruction set the kernels will use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// What the compiler's target guarantees.
    Portable,
    /// AVX2 with fused multiply-add: 8 floats at a time.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL): 16 floats at a time.
    Avx512,
}

/// What the processor can do, as far as the kernels care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuFeatures {
    /// The instruction set of the element-wise kernels.
    pub level: SimdLevel,
    /// Whether bf16 dot products (AVX-512 BF16) are there.
    pub avx512_bf16: bool,
    /// Threads the kernels run on.
    pub threads: usize,
}

impl fmt::Display for CpuFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            SimdLevel::Portable => "portable",
            SimdLevel::Avx2 => "AVX2 + FMA",
            SimdLevel::Avx512 => "AVX-512",
        };
        let bf16 = if self.avx512_bf16 { ", BF16" } else { "" };
        let plural = if self.threads == 1 { "" } else { "s" };
        write!(f, "{level}{bf16}, {} thread{plural}", self.threads)
    }
}

/// What this processor can do, found at run time.
pub fn cpu_features() -> CpuFeatures {
    CpuFeatures {
        level: level(),
        avx512_bf16: avx512_bf16(),
        threads: rayon::current_num_threads(),
    }
}

/// The widest level this processor has; with tests, no wider than `ADAMIX_TEST_SIMD` allows.
pub(crate) fn level() -> SimdLevel {
    static LEVEL: OnceLock<SimdLevel> = OnceLock::new();
    *LEVEL.get_or_init(|| detect().min(test_limit()))
}

#[cfg(target_arch = "x86_64")]
fn detect() -> SimdLevel {
    let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (fma, wide) {
        (true, true) => SimdLevel::Avx512,
        (true, false) => SimdLevel::Avx2,
        (false, _) => SimdLevel::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> SimdLevel {
    SimdLevel::Portable
}

/// Lets the tests run the narrower versions of the kernels on a wide processor.
#[cfg(test)]
fn test_limit() -> SimdLevel {
    match std::env::var("ADAMIX_TEST_SIMD").as_deref() {
        Ok("portable") => SimdLevel::Portable,
        Ok("avx2") => SimdLevel::Avx2,
        Ok(other) => panic!("ADAMIX_TEST_SIMD is `portable` or `avx2`, found `{other}`"),
        Err(_) => SimdLevel::Avx512,
    }
}

#[cfg(not(test))]
fn test_limit() -> SimdLevel {
    SimdLevel::Avx512
}

/// Whether products of `bf16` are one instruction that the kernels may use.
#[cfg(target_arch = "x86_64")]
pub(crate) fn multiplies_bf16() -> bool {
    level() == SimdLevel::Avx512 && avx512_bf16()
}

#[cfg(target_arch = "x86_64")]
fn avx512_bf16() -> bool {
    is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn avx512_bf16() -> bool {
    false
}

/// Defines a function compiled once for each instruction set, which picks the right one at run time.
///
/// The body is an `#[inline(always)]` function generic over `const FMA: bool`, which says whether
/// `f32::mul_add` is one instruction.
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                match $crate::simd::level() {
                    // SAFETY: `level` has found all the features this function was compiled for.
                    $crate::simd::SimdLevel::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::SimdLevel::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::SimdLevel::Portable => {}
                }
            }
            $body::<{ cfg!(any(target_feature = "fma", target_arch = "aarch64")) }>($($arg),*)
        }
    };
}
pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    multiversion! { fn double(x: &mut [f32]) -> usize = double_body }

    #[inline(always)]
    fn double_body<const FMA: bool>(x: &mut [f32]) -> usize {
        x.iter_mut().for_each(|x| *x *= 2.0);
        x.len()
    }

    #[test]
    fn a_kernel_runs_and_returns_at_every_level() {
        let mut x = [1.5; 40];
        assert_eq!(double(&mut x), 40);
        assert_eq!(x, [3.0; 40]);
    }

    #[test]
    fn features_are_told_in_words() {
        let features = CpuFeatures {
            level: SimdLevel::Avx512,
            avx512_bf16: true,
            threads: 2,
        };
        assert_eq!(features.to_string(), "AVX-512, BF16, 2 threads");
        assert!(cpu_features().threads > 0);
        assert!(SimdLevel::Portable < SimdLevel::Avx2 && SimdLevel::Avx2 < SimdLevel::Avx512);
    }
}
