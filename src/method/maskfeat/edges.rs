//! The edges of an image, and those a model expects.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::{MaskFeat, MaskFeatConfig};
use crate::batch::MimBatch;
use crate::data::Image;
use crate::data::tiles::{Mosaic, TILES, Tiles, batch, eight_bits};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::image::{normalize, sobel};
use crate::mask::{Mask, UnitMask};
use crate::target::{Depict, GradientTargetConfig, Target};
use crate::train::RunFolder;

/// The strength of Sobel's gradient of every channel, white beside a step from black to white.
///
/// # Errors
///
/// When the image has less than 2 rows or columns.
pub fn edges(image: &Image, device: &Device) -> Result<Image> {
    let shape = image.shape();
    if shape.height < 2 || shape.width < 2 {
        return Err(Error::config(format!("an image of {shape} has no edges")));
    }
    let strength: Tensor<4> = sobel(batch(image.values(), shape, device)) / 4.0;
    let strength: Vec<f32> = strength.into_data().iter().collect();
    eight_bits(shape, &strength)
}

/// The true edges of an image, and those which the model of the MaskFeat run in `path` predicts for
/// every patch from the patches around it; white beside a step of one standard deviation.
///
/// Every patch is predicted while it is hidden: a quarter of all patches is at a time.
///
/// # Errors
///
/// When there is no such run of the Sobel target, or the image has other channels than its model.
pub fn predicted_edges(path: &Path, image: &Image, device: &Device) -> Result<[Image; 2]> {
    let run = RunFolder::new(path).load::<MaskFeatConfig>(device)?;
    let (maskfeat, model) = (&run.config.numbers, run.task);
    if maskfeat.target != GradientTargetConfig::Sobel {
        let reason = "is a run of MaskFeat on other targets than edges; train one on edges with\n    \
                      cargo run --release --example maskfeat_cifar10 -- --target sobel";
        return Err(Error::checkpoint(path, reason));
    }
    let (tile, grid) = (maskfeat.encoder.image, maskfeat.encoder.grid());
    let image = image.clone().with_channels(tile.channels)?;
    let (values, tiles) = (image.values(), Tiles::new(image.shape(), tile));
    let mut mosaics = [Mosaic::new(&tiles, tile.channels), Mosaic::new(&tiles, tile.channels)];
    let indices: Vec<usize> = (0..tiles.count()).collect();
    for indices in indices.chunks(TILES) {
        let cut = indices.iter().flat_map(|&index| tiles.cut(index, &values)).collect();
        let (mean, std) = (&run.config.statistics.mean, &run.config.statistics.std);
        let images = normalize(batch(cut, tile, device), mean, std);
        for (mosaic, drawn) in mosaics.iter_mut().zip(whole_tiles(&model, &images, grid)?) {
            let drawn: Vec<f32> = drawn.into_data().iter().collect();
            for (&index, drawn) in indices.iter().zip(drawn.chunks_exact(tile.values())) {
                mosaic.add(index, drawn);
            }
        }
    }
    let [truth, predicted] = mosaics.map(|mosaic| mosaic.values());
    Ok([eight_bits(image.shape(), &truth)?, eight_bits(image.shape(), &predicted)?])
}

/// The true and the predicted edges of whole tiles, a quarter of their patches at a time.
fn whole_tiles(model: &MaskFeat, images: &Tensor<4>, grid: Grid) -> Result<[Tensor<4>; 2]> {
    let (count, device) = (images.dims()[0], &images.device());
    let mut drawn = [images.zeros_like(), images.zeros_like()];
    for quarter in 0..4 {
        let is_hidden = |cell: &usize| cell / grid.cols % 2 * 2 + cell % grid.cols % 2 == quarter;
        let mask = UnitMask::from_indices(grid, (0..grid.cells()).filter(is_hidden))?;
        if mask.hidden() == 0 || mask.visible() == 0 {
            continue;
        }
        let batch = MimBatch::new(images.clone(), Mask::new(vec![mask; count], device)?);
        let values = [model.target.of(&batch), model.predict(&batch)];
        let [truth, predicted] = values.map(|value| model.target.depict(value, &batch));
        let [all_truth, all_predicted] = drawn;
        drawn = [all_truth + truth, all_predicted + predicted];
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::nn::InitialWeights;
    use crate::test_device;

    #[test]
    fn a_step_from_black_to_white_is_white() {
        let image = Image::new(ImageShape::new(1, 2, 4), [0_u8, 0, 255, 255].repeat(2)).unwrap();
        assert_eq!(
            edges(&image, &test_device()).unwrap().bytes().unwrap(),
            [0, 255, 255, 0].repeat(2)
        );
    }

    #[test]
    fn every_patch_of_a_tile_is_drawn_once() {
        let shape = ImageShape::new(1, 24, 40);
        let config = MaskFeatConfig::small_images(shape).with_target(GradientTargetConfig::Sobel);
        let model = config.init(&mut InitialWeights::new(0, &test_device()));
        let image: Vec<f32> = (0..shape.values()).map(|i| (i * 7 % 11) as f32 / 40.0).collect();
        let images = batch(image, shape, &test_device());
        let [truth, _] = whole_tiles(&model, &images, config.encoder.grid()).unwrap();
        let expected: Tensor<4> = (sobel(images) / 4.0).clamp(0.0, 1.0);
        truth.into_data().assert_eq(&expected.into_data(), true);
    }
}
