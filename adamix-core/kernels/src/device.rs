//! Which tensors the fused kernels serve.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexDevice;

/// Whether a tensor lives on the CPU backend `flex` (with or without autodiff) in 32-bit floats.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32
        && *tensor.device().as_dispatch() == DispatchDevice::Flex(FlexDevice)
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
