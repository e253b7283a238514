//! Which tensors the fused kernels serve.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexDevice;

/// Whether an operation is fused at all. Always, but in a build with the feature `ladder`, where the variable
/// `ADAMIX_COMPOSED` names those that are not (`attention,gelu`, or `all`): for measuring what fusing one gives.
#[cfg(feature = "ladder")]
pub(crate) fn is_on(operation: &str) -> bool {
    static COMPOSED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let composed = COMPOSED.get_or_init(|| std::env::var("ADAMIX_COMPOSED").unwrap_or_default());
    let mut names = composed.split(',');
    !names.any(|name| name == operation || name == "all")
}

#[cfg(not(feature = "ladder"))]
pub(crate) fn is_on(_operation: &str) -> bool {
    true
}

/// Whether the kernels read a tensor as a weight: on the same backend, in 32-bit floats or, if it is frozen, in
/// `bf16`.
pub(crate) fn is_fused_weight(tensor: &Tensor<2>) -> bool {
    match tensor.dtype() {
        DType::BF16 => is_on_flex(tensor) && !tensor.is_tracked(),
        _ => is_fused(tensor),
    }
}

fn is_on_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    *tensor.device().as_dispatch() == DispatchDevice::Flex(FlexDevice)
}

/// Whether a tensor lives on the CPU backend `flex` (with or without autodiff) in 32-bit floats.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && is_on_flex(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn flex_is_recognised_with_and_without_autodiff() {
        let device = Device::flex();
        assert!(is_fused(&Tensor::<1>::zeros([1], &device)));
        assert!(is_fused(&Tensor::<1>::zeros([1], &device.autodiff())));
        let double = Tensor::<1>::zeros([1], (&Device::flex(), DType::F64));
        assert!(!is_fused(&double));
    }
}
