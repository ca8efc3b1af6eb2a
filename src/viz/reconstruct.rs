//! A model's predictions as a reconstruction sheet.

use burn::tensor::Tensor;

use super::sheet::{ReconstructionSheet, SheetRow};
use crate::batch::MimBatch;
use crate::encoder::Encoder;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::PredictionHead;
use crate::image::{ChannelStatistics, denormalize};
use crate::target::Reconstruct;
use crate::task::Mim;

/// A sheet of `batch`, one row per sample: the image, the image without its hidden patches, and the
/// model's prediction of the hidden patches.
///
/// `statistics` are those that the batch's images were normalized with.
///
/// # Errors
///
/// When the images do not divide into the mask's units.
pub fn reconstruction_sheet<E, H, T>(
    title: &str,
    model: &Mim<E, H, T>,
    batch: &MimBatch,
    statistics: &ChannelStatistics,
) -> Result<ReconstructionSheet>
where
    E: Encoder<Images = Tensor<4>>,
    H: PredictionHead<E::Features, Prediction = T::Prediction>,
    T: Reconstruct,
{
    let [_, channels, height, width] = batch.images.dims();
    let shape = ImageShape::new(channels, height, width);
    let pictures = |images: Tensor<4>| {
        let values: Vec<f32> =
            denormalize(images, &statistics.mean, &statistics.std).into_data().iter().collect();
        values.chunks(shape.values()).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let inputs = pictures(batch.images.clone());
    let predictions = pictures(model.reconstruct(batch));
    let mut sheet = ReconstructionSheet::new(title, shape).with_note(model.target.caption());
    for ((input, prediction), mask) in inputs.into_iter().zip(predictions).zip(batch.mask.samples())
    {
        sheet.push(&SheetRow { input, prediction, mask: mask.clone() })?;
    }
    Ok(sheet)
}
