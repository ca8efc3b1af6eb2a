//! Devices by name, for command lines.

use burn::tensor::Device;

use crate::error::{Error, Result};

/// Every backend that this crate passes through, with the hardware it runs on.
const NAMES: [&str; 4] = ["flex", "ndarray", "wgpu", "cuda"];

/// The default device of the backend `name`: `flex` and `ndarray` run on the CPU, `wgpu` on any
/// GPU, `cuda` on an Nvidia one.
///
/// `wgpu` is started here, with the adapter that `CUBECL_WGPU_DEFAULT_DEVICE` names (`Cpu`,
/// `DiscreteGpu(1)`) or the best one.
///
/// # Errors
///
/// When there is no such backend, when it was not compiled in (says which feature would), or when
/// this machine has nothing it could run on.
pub fn device_named(name: &str) -> Result<Device> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated, reason = "burn recommends flex; those who ask for ndarray get it")]
        "ndarray" => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu-unfused")]
        "wgpu" => wgpu(),
        #[cfg(feature = "cuda-unfused")]
        "cuda" => cuda(),
        name if NAMES.contains(&name) => Err(Error::config(format!(
            "the backend {name} is not compiled in: build with --features {name}"
        ))),
        name => Err(Error::config(format!(
            "there is no backend {name:?}: choose one of {}",
            NAMES.join(", ")
        ))),
    }
}

/// The first use of a device without an adapter would be a panic: start it here, where it can fail.
#[cfg(feature = "wgpu-unfused")]
fn wgpu() -> Result<Device> {
    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::WgpuInitError;

    match Device::wgpu_options().init() {
        Ok(device) => Ok(device),
        // Started before.
        Err(WgpuInitError::Registration { .. }) => Ok(Device::wgpu(DeviceKind::DefaultDevice)),
        Err(error) => Err(Error::config(format!(
            "the backend wgpu has nothing to run on: {error}; it needs a driver for Vulkan, Metal \
             or DirectX 12, even without a GPU (Debian's mesa-vulkan-drivers has one in software)"
        ))),
    }
}

#[cfg(feature = "cuda-unfused")]
fn cuda() -> Result<Device> {
    if Device::enumerate(burn::tensor::DeviceType::Cuda).is_empty() {
        let fault = "the backend cuda has nothing to run on: no Nvidia driver, or no device of it";
        return Err(Error::config(fault));
    }
    Ok(Device::cuda(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_backend_lists_the_known_ones() {
        let message = device_named("tpu").unwrap_err().to_string();
        assert!(message.ends_with("choose one of flex, ndarray, wgpu, cuda"), "{message}");
    }

    #[cfg(not(feature = "cuda-unfused"))]
    #[test]
    fn a_backend_that_is_not_compiled_in_names_its_feature() {
        let message = device_named("cuda").unwrap_err().to_string();
        assert!(message.ends_with("build with --features cuda"), "{message}");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn a_compiled_backend_gives_its_device() {
        assert_eq!(device_named("flex").unwrap(), Device::flex());
    }
}
