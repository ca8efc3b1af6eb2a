//! Undoing a corruption of an image.

use std::path::Path;

use burn::tensor::Device;

use super::{CorruptionConfig, RestorationConfig};
use crate::data::Image;
use crate::data::tiles::{Mosaic, TILES, Tiles, batch, eight_bits};
use crate::error::{Error, Result};
use crate::image::normalize;
use crate::train::RunFolder;

/// Restores `image` by the model of the restoration run in `path`, assuming that it was spoilt by
/// `corruption`.
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
    let run = RunFolder::new(path).load::<RestorationConfig>(device)?;
    let (restoration, model) = (&run.config.numbers, run.task);
    let known = &restoration.corruptions;
    let Some(corruption) = known.iter().position(|known| *known == corruption) else {
        let known: Vec<_> = known.iter().map(ToString::to_string).collect();
        let reason = format!("not trained on {corruption}, but on {}", known.join(", "));
        return Err(Error::checkpoint(path, reason));
    };
    let (mean, std) = (&run.config.statistics.mean, &run.config.statistics.std);
    let tile = restoration.encoder.image;
    let image = image.clone().with_channels(tile.channels)?;
    let (values, tiles) = (image.values(), Tiles::new(image.shape(), tile));
    let mut mosaic = Mosaic::new(&tiles, tile.channels);
    let indices: Vec<usize> = (0..tiles.count()).collect();
    for indices in indices.chunks(TILES) {
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
