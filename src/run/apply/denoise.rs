//! Undoing a corruption of an image.

use std::path::Path;

use burn::tensor::Device;

use super::tiles::{Mosaic, Tiles};
use super::{BATCH, batch, eight_bits, open, other_method, unit_values, with_channels};
use crate::data::Image;
use crate::error::{Error, Result};
use crate::image::normalize;
use crate::method::{CorruptionConfig, TaskConfig};
use crate::nn::InitialWeights;

const NEEDED: &str = "one of restoration";
const TRAIN: &str = "cargo run --release --example restoration_cifar10";

/// `image` as the model of the restoration run in `path` thinks it was before `corruption`.
///
/// # Errors
///
/// When there is no such run, it was not trained on that corruption, or the image has other
/// channels than its model.
pub fn denoise(
    path: &Path,
    image: &Image,
    corruption: CorruptionConfig,
    device: &Device,
) -> Result<Image> {
    let (folder, config) = open(path, NEEDED, TRAIN)?;
    let TaskConfig::Restoration(restoration) = &config.task else {
        return Err(other_method(path, &config, NEEDED, TRAIN));
    };
    let known = &restoration.corruptions;
    let Some(corruption) = known.iter().position(|known| *known == corruption) else {
        let known: Vec<_> = known.iter().map(ToString::to_string).collect();
        let reason = format!("not trained on {corruption}, but on {}", known.join(", "));
        return Err(Error::checkpoint(path, reason));
    };
    let (mean, std) = (&config.statistics.mean, &config.statistics.std);
    let model =
        folder.load(restoration.init(mean, std, &mut InitialWeights::new(config.seed, device)))?;
    let tile = restoration.encoder.image;
    let image = with_channels(image, tile.channels)?;
    let (values, tiles) = (unit_values(&image), Tiles::new(image.shape(), tile));
    let mut mosaic = Mosaic::new(&tiles, tile.channels);
    let indices: Vec<usize> = (0..tiles.count()).collect();
    for indices in indices.chunks(BATCH) {
        let cut = indices.iter().flat_map(|&index| tiles.cut(index, &values)).collect();
        let spoilt = normalize(batch(cut, tile, device), mean, std);
        let restored = model.displayed(model.restore(spoilt, corruption));
        let restored: Vec<f32> = restored.into_data().iter().collect();
        for (&index, restored) in indices.iter().zip(restored.chunks_exact(tile.values())) {
            mosaic.add(index, restored);
        }
    }
    eight_bits(image.shape(), &mosaic.values())
}
