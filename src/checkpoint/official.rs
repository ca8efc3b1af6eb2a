//! Files of the papers' official code and of timm: weights without a configuration, which the
//! caller gives.

use std::path::Path;

use burn::tensor::Device;

use super::layout::{self, Entry, Source};
use super::report::{LoadOptions, Loaded};
use super::safetensors_file::write_safetensors;
use super::vit_names::{TIMM, VitNames, linear, pointwise, relative_positions};
use super::weights_file::WeightsFile;
use crate::encoder::{CondensedVit, CondensedVitConfig, VisibleVit, Vit, VitConfig};
use crate::error::Result;
use crate::grid::Grid;
use crate::head::LinearHead;
use crate::method::{Mae, MaeConfig, SimMim, SimMimConfig, check_vocabulary};
use crate::nn::{InitialWeights, TransformerConfig};
use crate::task::Network;

/// Tensors that hold no weights.
const BUFFERS: [&str; 1] = ["relative_position_index"];

/// Loads a masked autoencoder of the official layout, encoder and decoder
/// (`mae_pretrain_vit_base_full.pth`).
///
/// # Errors
///
/// When the file cannot be read, a tensor has another shape, the load is strict and a key differs,
/// or the configuration is of another target or decoder than the paper's.
pub fn load_official_mae(
    path: impl AsRef<Path>,
    config: &MaeConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<Mae, MaeConfig>> {
    config.validate()?;
    config.check_published()?;
    let (encoder, entries) = (&config.encoder, official_mae_entries(config));
    let make = || config.init(&mut InitialWeights::new(0, device));
    load(path, make, config, encoder, &entries, options, device)
}

/// Loads the encoder of an official masked autoencoder (`mae_pretrain_vit_base.pth`).
///
/// # Errors
///
/// As [`load_official_mae`].
pub fn load_official_mae_encoder(
    path: impl AsRef<Path>,
    config: &VitConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<VisibleVit, VitConfig>> {
    // The official encoder has the layout of timm.
    load_timm(path, config, options, device)
}

/// Loads a vision transformer of timm's layout, from safetensors or a PyTorch file.
///
/// # Errors
///
/// As [`load_official_mae`].
pub fn load_timm(
    path: impl AsRef<Path>,
    config: &VitConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<VisibleVit, VitConfig>> {
    config.validate()?;
    let entries = VitNames::timm("").body("body", config);
    let make = || config.init_visible(&mut InitialWeights::new(0, device));
    load(path, make, config, config, &entries, options, device)
}

/// Loads SimMIM on a vision transformer in the official layout.
///
/// # Errors
///
/// As [`load_official_mae`].
pub fn load_official_simmim(
    path: impl AsRef<Path>,
    config: &SimMimConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<SimMim, SimMimConfig>> {
    config.validate()?;
    let encoder = &config.encoder;
    let names = VitNames::timm("encoder.");
    let mut entries = names.body("encoder.body", encoder);
    let token = "encoder.mask_token".to_string();
    entries.push(Entry::tensor(token.clone(), token, &[1, 1, encoder.width]));
    let table = "encoder.rel_pos_bias.relative_position_bias_table";
    entries.extend(relative_positions("encoder.body", &names, table, encoder));
    let values = encoder.patch_values();
    entries.extend(pointwise("head.projection", "decoder.0", encoder.width, values));
    let make = || config.init(&mut InitialWeights::new(0, device));
    load(path, make, config, encoder, &entries, options, device)
}

/// Loads BEiT with its head of `vocabulary` tokens in the official layout, shared or per-block
/// relative positions (`beit_base_patch16_224_pt22k.pth`).
///
/// # Errors
///
/// As [`load_official_mae`].
pub fn load_official_beit(
    path: impl AsRef<Path>,
    config: &VitConfig,
    vocabulary: usize,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<Network<Vit, LinearHead>, VitConfig>> {
    config.validate().and_then(|()| check_vocabulary(vocabulary))?;
    let make = || Network::beit(config, vocabulary, &mut InitialWeights::new(0, device));
    load(path, make, config, config, &beit_entries(config, vocabulary), options, device)
}

/// Writes BEiT in the official layout, as safetensors.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_official_beit(
    path: impl AsRef<Path>,
    model: &Network<Vit, LinearHead>,
    config: &VitConfig,
) -> Result<()> {
    let entries = beit_entries(config, model.head.width());
    write_safetensors(path.as_ref(), layout::save(model, &entries))
}

/// Loads BEiT v2 with its condenser in the official layout (`cls_pt_layers`), whose head of
/// `vocabulary` tokens both predictions share.
///
/// # Errors
///
/// As [`load_official_mae`].
pub fn load_official_beit_v2(
    path: impl AsRef<Path>,
    config: &CondensedVitConfig,
    vocabulary: usize,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<Network<CondensedVit, LinearHead>, CondensedVitConfig>> {
    config.validate().and_then(|()| check_vocabulary(vocabulary))?;
    let make = || Network::beit_v2(config, vocabulary, &mut InitialWeights::new(0, device));
    let entries = beit_v2_entries(config, vocabulary);
    load(path, make, config, &config.encoder, &entries, options, device)
}

/// Writes BEiT v2 with its condenser in the official layout, as safetensors.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_official_beit_v2(
    path: impl AsRef<Path>,
    model: &Network<CondensedVit, LinearHead>,
    config: &CondensedVitConfig,
) -> Result<()> {
    let entries = beit_v2_entries(config, model.head.width());
    write_safetensors(path.as_ref(), layout::save(model, &entries))
}

/// The entries of a masked autoencoder with the official names.
pub(super) fn official_mae_entries(config: &MaeConfig) -> Vec<Entry> {
    let MaeConfig { encoder, decoder, .. } = config;
    let mut entries = VitNames::timm("").body("encoder.body", encoder);
    let values = encoder.patch_values();
    entries.extend(VitNames::decoder("", "decoder_blocks", TIMM, encoder, decoder, values));
    entries
}

fn beit_v2_entries(config: &CondensedVitConfig, vocabulary: usize) -> Vec<Entry> {
    let CondensedVitConfig { encoder: vit, condenser_blocks, .. } = config;
    let mut entries = beit_vit_entries("encoder.vit.", vit, true);
    let names = VitNames { blocks: "cls_pt_layers".into(), ..VitNames::timm("") };
    let condenser = TransformerConfig { depth: *condenser_blocks, ..vit.transformer() };
    entries.extend(names.blocks("encoder.condenser", &condenser));
    entries.extend(linear("head.projection", "lm_head", vit.width, vocabulary));
    entries
}

fn beit_entries(config: &VitConfig, vocabulary: usize) -> Vec<Entry> {
    let mut entries = beit_vit_entries("encoder.", config, true);
    entries.extend(linear("head.projection", "lm_head", config.width, vocabulary));
    entries
}

/// The entries of a [`Vit`] at the path `ours`, which ends with a dot or is empty.
pub(super) fn beit_vit_entries(ours: &str, config: &VitConfig, mask_token: bool) -> Vec<Entry> {
    let (names, body) = (VitNames::timm(""), format!("{ours}body"));
    let mut entries = names.body(&body, config);
    if mask_token {
        let token = format!("{ours}mask_token");
        entries.push(Entry::tensor(token, "mask_token".into(), &[1, 1, config.width]));
    }
    let table = "rel_pos_bias.relative_position_bias_table";
    entries.extend(relative_positions(&body, &names, table, config));
    entries
}

fn load<M: burn::module::Module, C: Clone>(
    path: impl AsRef<Path>,
    make: impl FnOnce() -> M,
    config: &C,
    encoder: &VitConfig,
    entries: &[Entry],
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<M, C>> {
    let mut file = WeightsFile::open(path)?;
    // timm's layer scale has another name in the official code.
    file.rename(|key| key.replace(".ls1.gamma", ".gamma_1").replace(".ls2.gamma", ".gamma_2"));
    let grid = table_grid(&file, encoder.class_tokens(), encoder.grid());
    let form = "official and timm ViT";
    let source = Source { grid, file: &file, form, device: device.clone() };
    let (model, report) = layout::load(make, entries, &source, &BUFFERS, options)?;
    Ok(Loaded { model, config: config.clone(), report })
}

/// The grid of the file's position table, which these formats do not state. It is the `encoder`'s
/// grid if that has as many cells, and otherwise a square, like the grid of every published file.
pub(super) fn table_grid(file: &WeightsFile, class_tokens: usize, encoder: Grid) -> Option<Grid> {
    let rows = *file.shape(file.find("pos_embed")?)?.get(1)?;
    layout::grid_of(rows, class_tokens, Some(encoder))
}
