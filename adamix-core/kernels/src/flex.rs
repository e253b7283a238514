//! In and out of the CPU backend's tensors.

use crate::gemm::{Element, Matrix};
use burn::backend::TensorMetadata;
use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

/// Elements of one unit of parallel work in element-wise kernels. Fixed, so that results do not depend
/// on the number of threads; 64 KiB of `f32`, so that a few operands fit a core's second-level cache.
pub(crate) const CHUNK: usize = 1 << 14;

/// A buffer whose contents are not yet written.
///
/// Zeroing would cost one more pass over memory for each operation.
///
/// # Safety
/// Every element must be written before it is read.
pub(crate) unsafe fn uninitialised(len: usize) -> Vec<f32> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`, any bits are a valid `f32`, and the caller writes before reading.
    #[allow(clippy::uninit_vec)]
    unsafe {
        buffer.set_len(len)
    };
    buffer
}

/// A tensor of `f32` in row-major order around a buffer.
pub(crate) fn tensor(buffer: Vec<f32>, shape: Shape) -> FlexTensor {
    strided(buffer, Layout::contiguous(shape))
}

/// A tensor of `f32` around a buffer with any layout.
pub(crate) fn strided(buffer: Vec<f32>, layout: Layout) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(buffer), layout, DType::F32)
}

/// The elements of a tensor that [`FlexTensor::to_contiguous`] has made contiguous.
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice::<f32>()
        .expect("a contiguous tensor of 32-bit floats")
}

/// The last dimension's size and the product of the others.
pub(crate) fn rows(tensor: &FlexTensor) -> (usize, usize) {
    let shape = tensor.shape();
    let units = shape[shape.num_dims() - 1];
    let rows = shape[..shape.num_dims() - 1].iter().product();
    (rows, units)
}

/// A two-dimensional tensor without negative strides, as it lies in its storage.
///
/// # Panics
/// If a stride is negative.
pub(crate) fn matrix<'a, E: Element>(tensor: &FlexTensor, storage: &'a [E]) -> Matrix<'a, E> {
    let layout = tensor.layout();
    let stride = |i: usize| usize::try_from(layout.strides()[i]).expect("no negative stride");
    let dims = [layout.shape()[0], layout.shape()[1]];
    let data = &storage[layout.start_offset()..];
    Matrix::strided(data, dims, [stride(0), stride(1)])
}
