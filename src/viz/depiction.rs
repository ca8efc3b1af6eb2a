//! A page of pictures for predictions of a target that is no image.

use burn::tensor::Tensor;

use super::images::pictures;
use super::picture::Picture;
use super::picture_grid::PictureGrid;
use super::sheet::HIDDEN;
use crate::batch::MimBatch;
use crate::encoder::Encoder;
use crate::error::Result;
use crate::head::PredictionHead;
use crate::image::{ChannelStatistics, denormalize};
use crate::mask::UnitMask;
use crate::target::Depict;
use crate::task::Mim;

const COLUMNS: [&str; 4] = ["input", "masked", "true target", "prediction"];

/// A sheet of `batch`, one row per sample: the image, the image without its hidden patches, the
/// target, and the prediction for the hidden patches.
///
/// `statistics` are those that the batch's images were normalized with.
///
/// # Errors
///
/// When the batch is empty, or a text cannot be drawn.
pub fn depiction_sheet<E, H, T>(
    title: &str,
    model: &Mim<E, H, T>,
    batch: &MimBatch,
    statistics: &ChannelStatistics,
) -> Result<PictureGrid>
where
    E: Encoder<Images = Tensor<4>>,
    H: PredictionHead<E::Features, Prediction = T::Prediction>,
    T: Depict,
{
    let images = pictures(denormalize(batch.images.clone(), &statistics.mean, &statistics.std))?;
    let truth = pictures(model.target.depict(model.target.of(batch), batch))?;
    let predictions = pictures(model.target.depict(model.predict(batch), batch))?;
    let mut sheet = PictureGrid::new(title, COLUMNS)
        .with_footer("Gray: hidden from the encoder. Black: visible, so not predicted.");
    let drawn = truth.into_iter().zip(predictions);
    for ((image, mask), (truth, prediction)) in images.iter().zip(batch.mask.samples()).zip(drawn) {
        let input = image.magnified(truth.width() / image.width());
        let masked = masked(&input, mask);
        sheet.push_row(vec![input, masked, truth, prediction])?;
    }
    Ok(sheet)
}

/// `image` with its hidden cells covered.
pub(crate) fn masked(image: &Picture, mask: &UnitMask) -> Picture {
    let (width, height, grid) = (image.width(), image.height(), mask.grid());
    Picture::from_fn(width, height, |x, y| {
        let is_hidden = mask.is_hidden(y * grid.rows / height, x * grid.cols / width);
        if is_hidden { HIDDEN } else { image.pixel(x, y) }
    })
}
