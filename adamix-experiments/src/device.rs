//! Devices by name.

use anyhow::{Result, bail};
use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
use burn::tensor::DeviceKind;
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
use burn::tensor::{Tensor, TensorData};

/// The devices this build has.
pub const NAMES: &[&str] = &[
    "flex",
    #[cfg(feature = "wgpu")]
    "wgpu",
    #[cfg(feature = "vulkan")]
    "vulkan",
    #[cfg(feature = "cuda")]
    "cuda",
];

/// The device of that name: `cuda` is the first of its kind, `cuda:1` the second. The CPU is one.
///
/// # Errors
/// If this build does not have it, or it cannot multiply.
pub fn open(name: &str) -> Result<Device> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, index.parse::<usize>().ok()),
        None => (name, Some(0)),
    };
    match (kind, index) {
        ("flex", Some(0)) => Ok(Device::flex()),
        #[cfg(feature = "wgpu")]
        ("wgpu", Some(index)) => tried(name, Device::wgpu(gpu(name, index))),
        #[cfg(feature = "vulkan")]
        ("vulkan", Some(index)) => tried(name, Device::vulkan(gpu(name, index))),
        #[cfg(feature = "cuda")]
        ("cuda", Some(index)) => tried(name, Device::cuda(index)),
        _ => bail!(
            "no device `{name}` in this build; it has: {}",
            NAMES.join(", ")
        ),
    }
}

/// Multiplies small whole numbers, which is exact in any precision: a driver that misreads a shader gives wrong products
/// without an error, and training would go on with them.
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
fn tried(name: &str, device: Device) -> Result<Device> {
    const SIDES: [usize; 3] = [16, 32, 48];
    let values = |rows: usize, columns: usize| -> Vec<f32> {
        (0..rows * columns).map(|i| (i * 7 % 5) as f32).collect()
    };
    let product = |device: &Device| {
        let [rows, depth, columns] = SIDES;
        let left = TensorData::new(values(rows, depth), [rows, depth]);
        let right = TensorData::new(values(depth, columns), [depth, columns]);
        let left = Tensor::<2>::from_data(left, device);
        left.matmul(Tensor::from_data(right, device)).into_data()
    };
    if product(&device) != product(&Device::flex()) {
        bail!("device `{name}`: its matrix products are wrong; try another driver or device");
    }
    Ok(device)
}

/// A name without an index leaves the choice to the system.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn gpu(name: &str, index: usize) -> DeviceKind {
    match name.contains(':') {
        true => DeviceKind::DiscreteGpu(index),
        false => DeviceKind::DefaultDevice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_a_name_and_an_index() {
        assert!(open("flex").is_ok() && open("flex:0").is_ok());
        for name in ["flex:1", "flex:x", "abacus"] {
            let error = open(name).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("flex"), "{error}");
        }
    }
}
