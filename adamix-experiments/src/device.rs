//! Devices by name.

use anyhow::{Result, bail};
use burn::tensor::Device;

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

/// The device of that name.
///
/// # Errors
/// If this build does not have it.
pub fn open(name: &str) -> Result<Device> {
    Ok(match name {
        "flex" => Device::flex(),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "cuda")]
        "cuda" => Device::cuda(0),
        _ => bail!(
            "no device `{name}` in this build; it has: {}",
            NAMES.join(", ")
        ),
    })
}
