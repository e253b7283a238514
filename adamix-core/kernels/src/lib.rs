//! Fused tensor operations for frozen backbones, as a Burn backend extension.
//!
//! A model calls one function (`linear`, `gelu`, `layer_norm`, `attention`, `dropout`, ...) on plain
//! [`Tensor`](burn::tensor::Tensor)s and stays free of any backend. On the CPU backend `flex` with
//! 32-bit floats the call runs one fused, multi-threaded kernel with a backward pass written by hand;
//! on every other backend or type it runs the same mathematics composed of Burn's own operations.
//!
//! What every fused operation keeps to:
//! - **Same numbers every time.** Work is cut into chunks of a fixed size and reductions add their parts
//!   in a fixed order, so a result does not depend on the number of threads.
//! - **Nothing for frozen parameters.** A parameter outside the autodiff graph gets no gradient, and no
//!   activation is kept for it.
//! - **Dropout from keys.** Masks are recomputed from [`adamix_keys::mask`] in the backward pass, so
//!   nothing is saved for them.
//!
//! This is the one crate of the workspace that contains `unsafe`; each block gives its reason.

mod allocator;
mod attention;
mod columns;
mod cross_entropy;
mod device;
mod dropout;
mod few_rows;
mod flex;
mod gelu;
mod gelu_linear;
mod gemm;
mod layer_norm;
mod linear;
mod math;
mod simd;

pub use allocator::{release_freed_memory, tune_allocator};
pub use attention::{Lineage, Past, attention, attention_causal};
pub use cross_entropy::{cross_entropy, exponential_sum};
pub use dropout::{Dropout, dropout};
pub use gelu::{gelu, gelu_tanh};
pub use gelu_linear::{gelu_linear, gelu_tanh_linear};
pub use layer_norm::{add_layer_norm, layer_norm};
pub use linear::linear;
pub use simd::{CpuFeatures, SimdLevel, cpu_features};

#[cfg(test)]
mod reference;
