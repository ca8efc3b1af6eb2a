//! SimMIM on Swin and Swin-v2 in the official layout: weights without a configuration, which the
//! caller gives.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::layout::{self, Entry, Source};
use super::report::{LoadOptions, Loaded};
use super::safetensors_file::write_safetensors;
use super::swin_names::SwinNames;
use super::weights_file::WeightsFile;
use crate::encoder::{Swin, SwinConfig, SwinV2, SwinV2Config};
use crate::error::Result;
use crate::method::{SimMim, SimMimConfig};
use crate::nn::InitialWeights;

/// Tensors without weights, which are computed from the sizes.
const BUFFERS: [&str; 3] = ["relative_position_index", "relative_coords_table", "attn_mask"];

/// Loads SimMIM on Swin in the official layout (`simmim_pretrain__swin_base__*.pth`). Tables for
/// another window are resized geometrically if [`LoadOptions::resize`] is set.
///
/// # Errors
///
/// When the file cannot be read, a tensor has another shape, or the load is strict and a key
/// differs.
pub fn load_official_simmim_swin(
    path: impl AsRef<Path>,
    config: &SimMimConfig<SwinConfig>,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<SimMim<Swin>, SimMimConfig<SwinConfig>>> {
    config.validate()?;
    let make = || config.init(&mut InitialWeights::new(0, device));
    let entries = SwinNames::official("encoder.").simmim(&config.encoder);
    load(path, make, config, &entries, options, device)
}

/// Loads SimMIM on Swin-v2 in the official layout (`simmim_pretrain__swinv2_base__*.pth`).
///
/// # Errors
///
/// As [`load_official_simmim_swin`].
pub fn load_official_simmim_swin_v2(
    path: impl AsRef<Path>,
    config: &SimMimConfig<SwinV2Config>,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<SimMim<SwinV2>, SimMimConfig<SwinV2Config>>> {
    config.validate()?;
    let make = || config.init(&mut InitialWeights::new(0, device));
    let entries = SwinNames::official("encoder.").simmim_v2(&config.encoder);
    load(path, make, config, &entries, options, device)
}

/// Writes the weights of SimMIM on Swin with the official code's names, as safetensors: in PyTorch,
/// `torch.save({"model": safetensors.torch.load_file(path)}, "model.pth")` is what that code loads.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_official_simmim_swin(
    path: impl AsRef<Path>,
    model: &SimMim<Swin>,
    config: &SimMimConfig<SwinConfig>,
) -> Result<()> {
    let entries = SwinNames::official("encoder.").simmim(&config.encoder);
    write_safetensors(path.as_ref(), layout::save(model, &entries))
}

/// Writes the weights of SimMIM on Swin-v2 in the way of [`save_official_simmim_swin`].
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_official_simmim_swin_v2(
    path: impl AsRef<Path>,
    model: &SimMim<SwinV2>,
    config: &SimMimConfig<SwinV2Config>,
) -> Result<()> {
    let entries = SwinNames::official("encoder.").simmim_v2(&config.encoder);
    write_safetensors(path.as_ref(), layout::save(model, &entries))
}

fn load<M: Module, C: Clone>(
    path: impl AsRef<Path>,
    make: impl FnOnce() -> M,
    config: &C,
    entries: &[Entry],
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<M, C>> {
    let mut file = WeightsFile::open(path)?;
    // The released Swin-v2 files use an older name.
    file.rename(|key| key.replace(".rpe_mlp.", ".cpb_mlp."));
    let source = Source { file: &file, form: "official Swin", grid: None, device: device.clone() };
    let (model, report) = layout::load(make, entries, &source, &BUFFERS, options)?;
    Ok(Loaded { model, config: config.clone(), report })
}
