//! The hidden patches of images, put where Selfie thinks they belong.

use burn::tensor::{Int, Tensor};

use super::images::pictures;
use super::picture::Picture;
use super::picture_grid::PictureGrid;
use crate::batch::MimBatch;
use crate::encoder::Backbone;
use crate::error::Result;
use crate::image::{PatchLayout, denormalize, unpatchify};
use crate::task::Selfie;

/// One row for each sample: the image, what is visible of it, and the hidden patches in the places
/// they were chosen for.
///
/// `mean` and `std` are the statistics the images were normalised with.
///
/// # Errors
///
/// When there is no sample.
pub fn selfie_sheet<E: Backbone>(
    title: &str,
    task: &Selfie<E>,
    batch: &MimBatch,
    [mean, std]: [&[f32]; 2],
) -> Result<PictureGrid> {
    let (grid, patches) = task.encoder.patches(batch.images.clone());
    let mask = batch.mask.at(grid);
    let hidden = mask.select_hidden(patches.clone());
    let [samples, count, width] = hidden.dims();
    let chosen = task.predict(batch).argmax(2).reshape([samples * count]);
    let first_rows = Tensor::<1, Int>::arange(0..samples as i64, &chosen.device()) * count as i64;
    let rows = first_rows.unsqueeze_dim::<2>(1).expand([samples, count]).reshape([samples * count]);
    let placed = hidden.reshape([samples * count, width]).select(0, chosen + rows);
    let zeros = || Tensor::zeros([1, width], &patches.device());
    let visible = mask.fill_hidden(mask.select_visible(patches.clone()), zeros());
    let placed = mask.fill_visible(placed.reshape([samples, count, width]), zeros());
    let show = |patches: Tensor<3>| {
        let images = unpatchify(patches, grid, task.encoder.patch, PatchLayout::ChannelsFirst);
        pictures(denormalize(images, mean, std))
    };
    let columns = [show(patches.clone())?, show(visible.clone())?, show(visible + placed)?];
    let mut sheet = PictureGrid::new(title, ["image", "visible", "put together"]).with_footer(
        "Every hidden patch is a candidate for every hidden place, and may be chosen for several.",
    );
    if let Some(note) = Picture::channel_note(batch.images.dims()[1]) {
        sheet = sheet.with_footer(note);
    }
    for row in 0..samples {
        sheet.push_row(columns.iter().map(|column| column[row].clone()).collect())?;
    }
    Ok(sheet)
}
