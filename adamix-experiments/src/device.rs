//! Devices by name.

use anyhow::{Result, bail};
use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
use burn::tensor::DeviceKind;

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
/// If this build does not have it.
pub fn open(name: &str) -> Result<Device> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, index.parse::<usize>().ok()),
        None => (name, Some(0)),
    };
    Ok(match (kind, index) {
        ("flex", Some(0)) => Device::flex(),
        #[cfg(feature = "wgpu")]
        ("wgpu", Some(index)) => Device::wgpu(gpu(name, index)),
        #[cfg(feature = "vulkan")]
        ("vulkan", Some(index)) => Device::vulkan(gpu(name, index)),
        #[cfg(feature = "cuda")]
        ("cuda", Some(index)) => Device::cuda(index),
        _ => bail!(
            "no device `{name}` in this build; it has: {}",
            NAMES.join(", ")
        ),
    })
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
