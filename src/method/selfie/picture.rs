//! The hidden patches of images, put where Selfie thinks they belong.

use burn::tensor::{Int, Tensor};

use crate::batch::MimBatch;
use crate::encoder::Backbone;
use crate::error::Result;
use crate::image::{ChannelStatistics, PatchLayout, denormalize, unpatchify};
use crate::method::Selfie;
use crate::viz::{Picture, PictureGrid, pictures};

/// One row for each sample: the image, what is visible of it, and the hidden patches in the places
/// they were chosen for.
///
/// `statistics` are those that the images were normalized with.
///
/// # Errors
///
/// When there is no sample.
pub fn selfie_sheet<E: Backbone>(
    title: &str,
    task: &Selfie<E>,
    batch: &MimBatch,
    statistics: &ChannelStatistics,
) -> Result<PictureGrid> {
    let (grid, patches) = task.encoder.patches(batch.images.clone());
    let mask = batch.mask.at(grid);
    let hidden = mask.asked.select(patches.clone());
    let [samples, count, width] = hidden.dims();
    let chosen = task.predict(batch).argmax(2).reshape([samples * count]);
    let first_rows = Tensor::<1, Int>::arange(0..samples as i64, &chosen.device()) * count as i64;
    let rows = first_rows.unsqueeze_dim::<2>(1).expand([samples, count]).reshape([samples * count]);
    let placed = hidden.reshape([samples * count, width]).select(0, chosen + rows);
    let zeros = || Tensor::zeros([1, width], &patches.device());
    let visible = mask.visible.fill(mask.visible.select(patches.clone()), zeros());
    let placed = mask.asked.fill(placed.reshape([samples, count, width]), zeros());
    let show = |patches: Tensor<3>| {
        let images = unpatchify(patches, grid, task.encoder.patch, PatchLayout::ChannelsFirst);
        pictures(denormalize(images, &statistics.mean, &statistics.std))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::ResidualConfig;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::{Mask, UnitMask};
    use crate::method::SelfieConfig;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;

    #[test]
    fn visible_patches_stay_and_hidden_places_show_one_of_the_hidden_patches() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let images = weights.param([2, 3, 4, 12], Init::Normal { std: 1.0 }).val();
        let encoder = ResidualConfig::new(3).with_widths(vec![8]).with_groups(2);
        let config = SelfieConfig::new(ImageShape::new(3, 4, 12), encoder).with_patch(4);
        let model = config.with_depth(1).with_heads(2).init(weights);
        let sheet = |hidden: Vec<usize>| {
            let mask = UnitMask::from_indices(Grid::new(1, 3), hidden).unwrap();
            let mask = Mask::new(vec![mask; 2], &test_device()).unwrap();
            let batch = MimBatch::new(images.clone(), mask);
            let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.2; 3] };
            selfie_sheet("Title", &model, &batch, &statistics).unwrap()
        };
        for row in sheet(vec![1]).rows() {
            assert_eq!(row[2], row[0], "one hidden patch has one place");
            assert_ne!(row[1], row[0]);
        }
        for row in sheet(vec![0, 2]).rows() {
            let patch = |picture: &Picture, left: usize| {
                (0..16).map(|i| picture.pixel(left + i % 4, i / 4)).collect::<Vec<_>>()
            };
            let hidden = [patch(&row[0], 0), patch(&row[0], 8)];
            assert!([0, 8].iter().all(|&left| hidden.contains(&patch(&row[2], left))));
        }
    }
}
