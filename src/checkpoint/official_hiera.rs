//! Hiera and MAE on it in the official layout (facebookresearch/hiera): weights without a
//! configuration, which the caller gives.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::hiera_names::HieraNames;
use super::layout::{self, Entry, Source};
use super::official::table_grid;
use super::report::{LoadOptions, Loaded};
use super::safetensors_file::write_safetensors;
use super::weights_file::WeightsFile;
use crate::encoder::{Hiera, HieraConfig};
use crate::error::Result;
use crate::method::{HieraMae, HieraMaeConfig};
use crate::nn::InitialWeights;

/// Loads MAE on Hiera in the official layout (`mae_hiera_base_224.pth`).
///
/// # Errors
///
/// When the file cannot be read, a tensor has another shape, or the load is strict and a key
/// differs.
pub fn load_official_hiera_mae(
    path: impl AsRef<Path>,
    config: &HieraMaeConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<HieraMae, HieraMaeConfig>> {
    config.validate()?;
    let make = || config.init(&mut InitialWeights::new(0, device));
    let entries = HieraNames::official().mae(config);
    load(path, make, config, &config.encoder, &entries, options, device)
}

/// Loads a Hiera in the official layout (`hiera_base_224.pth`, or the encoder of
/// `mae_hiera_base_224.pth`). What norms its pooled features and its classifier stay unused.
///
/// # Errors
///
/// As [`load_official_hiera_mae`].
pub fn load_official_hiera(
    path: impl AsRef<Path>,
    config: &HieraConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<Hiera, HieraConfig>> {
    config.validate()?;
    let make = || config.init(&mut InitialWeights::new(0, device));
    let entries = HieraNames::official().hiera("", config);
    load(path, make, config, config, &entries, options, device)
}

/// Writes the weights of MAE on Hiera with the official code's names, as safetensors: in PyTorch,
/// `torch.save({"model_state": safetensors.torch.load_file(path)}, "model.pth")` is what that code
/// loads.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_official_hiera_mae(
    path: impl AsRef<Path>,
    model: &HieraMae,
    config: &HieraMaeConfig,
) -> Result<()> {
    let entries = HieraNames::official().mae(config);
    write_safetensors(path.as_ref(), layout::save(model, &entries))
}

/// Writes the weights of a Hiera in the way of [`save_official_hiera_mae`].
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_official_hiera(path: impl AsRef<Path>, model: &Hiera) -> Result<()> {
    let entries = HieraNames::official().hiera("", model.config());
    write_safetensors(path.as_ref(), layout::save(model, &entries))
}

fn load<M: Module, C: Clone>(
    path: impl AsRef<Path>,
    make: impl FnOnce() -> M,
    config: &C,
    encoder: &HieraConfig,
    entries: &[Entry],
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<M, C>> {
    let file = WeightsFile::open(path)?;
    let grid = table_grid(&file, 0, encoder.grid());
    let (form, device) = ("official Hiera", device.clone());
    let source = Source { file: &file, form, grid, device };
    let (model, report) = layout::load(make, entries, &source, &[], options)?;
    Ok(Loaded { model, config: config.clone(), report })
}
