//! What trained models do to images of any size.

mod denoise;
mod edges;
mod inpaint;
mod inpainter;
mod spread;
mod tiles;

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

pub use denoise::denoise;
pub use edges::{edges, predicted_edges};
pub use inpaint::marked_pixels;
pub use inpainter::{Inpainter, inpaint};

use super::RunConfig;
use super::published::{is_published, open_published};
use crate::checkpoint::Transformers;
use crate::data::Image;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::train::RunFolder;
use crate::viz::{Picture, PictureGrid};

/// Tiles that go through a model at once.
const BATCH: usize = 16;

/// An image as a picture.
///
/// # Errors
///
/// When the image has no pixel.
pub fn picture(image: &Image) -> Result<Picture> {
    Picture::from_planar(image.shape(), &unit_values(image))
}

/// Images of one size side by side, each under its title.
///
/// # Errors
///
/// When there is none, two differ in size, or a text cannot be drawn.
pub fn before_after(title: &str, columns: &[(&str, &Image)]) -> Result<PictureGrid> {
    let mut sheet = PictureGrid::new(title, columns.iter().map(|(title, _)| *title));
    let pictures: Result<_> = columns.iter().map(|(_, image)| picture(image)).collect();
    sheet.push_row(pictures?)?;
    Ok(sheet)
}

/// The run in `path` and what it says of itself; `train` is the command that makes such a run.
fn open(path: &Path, needed: &str, train: &str) -> Result<(RunFolder, RunConfig)> {
    if is_published(path)? {
        return Err(lacking(&open_published(path)?, needed));
    }
    let folder = RunFolder::new(path);
    if folder.latest()?.is_none() {
        let advice = format!("there is no trained model here; train one with\n    {train}");
        return Err(Error::checkpoint(path, advice));
    }
    let config = folder.config()?;
    Ok((folder, config))
}

/// The fault of published weights of another model.
fn lacking(opened: &Transformers, needed: &str) -> Error {
    let reason = format!("holds a {}, but {needed} is needed", opened.architecture());
    Error::checkpoint(opened.path(), reason)
}

/// The fault of a run of another method.
fn other_method(path: &Path, config: &RunConfig, needed: &str, train: &str) -> Error {
    let title = config.task.title();
    let reason = format!("a run of {title}, but {needed} is needed; train one with\n    {train}");
    Error::checkpoint(path, reason)
}

/// `image` with as many channels as a model reads.
fn with_channels(image: &Image, channels: usize) -> Result<Image> {
    image.clone().with_channels(channels)
}

/// Values from 0 to 1.
fn unit_values(image: &Image) -> Vec<f32> {
    image.pixels().iter().map(|&value| f32::from(value) / 255.0).collect()
}

/// Values from 0 to 1 in 8 bits; others are cut off.
fn eight_bits(shape: ImageShape, values: &[f32]) -> Result<Image> {
    let level = |value: &f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    Image::new(shape, values.iter().map(level).collect())
}

/// A batch of tiles, `[tiles, channels, height, width]`.
fn batch(tiles: Vec<f32>, tile: ImageShape, device: &Device) -> Tensor<4> {
    let ImageShape { channels, height, width } = tile;
    let count = tiles.len() / tile.values();
    Tensor::from_data(TensorData::new(tiles, [count, channels, height, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_take_the_channels_a_model_reads() {
        let gray = Image::new(ImageShape::new(1, 1, 2), vec![10, 20]).unwrap();
        let colors = with_channels(&gray, 3).unwrap();
        assert_eq!(colors.pixels(), [10, 20, 10, 20, 10, 20]);
        assert_eq!(with_channels(&colors, 1).unwrap(), gray);
        let message = with_channels(&colors, 4).unwrap_err().to_string();
        assert!(message.contains("3 channels cannot be brought to 4"), "{message}");
    }

    #[test]
    fn a_folder_without_a_run_says_what_to_train() {
        let folder = tempfile::tempdir().unwrap();
        let message =
            open(folder.path(), "a run", "cargo run --example x").unwrap_err().to_string();
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
        assert!(message.ends_with("train one with\n    cargo run --example x"), "{message}");
    }
}
