//! A picture of images that Image GPT completes.

use burn::tensor::{Tensor, s};

use crate::error::Result;
use crate::grid::Grid;
use crate::method::{ImageGpt, Sampling};
use crate::viz::{Picture, PictureGrid, pictures};

/// The gray of pixels that are not given.
const UNKNOWN: f32 = 0.88;

/// One row for each image: the image in the palette's colors, its upper half, and what the model
/// makes of that, `completions` times. Images and palette are in [0, 1].
///
/// # Errors
///
/// As [`ImageGpt::complete`], and when there is no image.
pub fn completion_sheet(
    title: &str,
    model: &ImageGpt,
    images: Tensor<4>,
    sampling: &Sampling,
    completions: usize,
) -> Result<PictureGrid> {
    let [batch, channels, rows, cols] = images.dims();
    let (grid, half) = (Grid::new(rows, cols), rows / 2);
    let ids = model.encoder.ids(images);
    let given = ids.clone().slice(s![.., 0..half * cols]);
    let whole = model.encoder.images(ids, grid);
    let unknown = Tensor::full([batch, channels, rows - half, cols], UNKNOWN, &whole.device());
    let upper = Tensor::cat(vec![whole.clone().slice(s![.., .., 0..half, ..]), unknown], 2);
    let mut columns =
        vec![("original".to_string(), pictures(whole)?), ("given".into(), pictures(upper)?)];
    for nth in 0..completions as u64 {
        let sampling = sampling.with_seed(sampling.seed + nth);
        let drawn = model.complete(given.clone(), &sampling)?;
        columns.push((format!("{}", nth + 1), pictures(model.encoder.images(drawn, grid))?));
    }
    let top_k = sampling.top_k.map_or(String::new(), |k| format!(", top {k} colors"));
    let mut sheet = PictureGrid::new(title, columns.iter().map(|(title, _)| title.clone()))
        .with_footer(format!("Temperature {}{top_k}.", sampling.temperature));
    if let Some(note) = Picture::channel_note(channels) {
        sheet = sheet.with_footer(note);
    }
    for row in 0..batch {
        sheet.push_row(columns.iter().map(|(_, column)| column[row].clone()).collect())?;
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::GptConfig;
    use crate::grid::ImageShape;
    use crate::method::ImageGptConfig;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;

    #[test]
    fn every_completion_keeps_the_half_that_is_given() {
        let config = GptConfig::new(ImageShape::new(3, 4, 6), 8, 1, 2).with_colors(7);
        let weights = &mut InitialWeights::new(0, &test_device());
        let mut draw = |shape: [usize; 4]| weights.param(shape, Init::Normal { std: 0.5 }).val();
        let (images, palette) = (draw([2, 3, 4, 6]) + 0.5, draw([7, 3, 1, 1]) + 0.5);
        let model = ImageGptConfig::new(config).init(Some(palette.reshape([7, 3])), weights);
        let sheet = completion_sheet("Title", &model, images, &Sampling::new(), 3).unwrap();
        assert_eq!(sheet.rows().len(), 2);
        for row in sheet.rows() {
            assert_eq!(row.len(), 5);
            let (original, others) = row.split_first().unwrap();
            for (x, y) in (0..6).flat_map(|x| (0..2).map(move |y| (x, y))) {
                assert!(others.iter().all(|other| other.pixel(x, y) == original.pixel(x, y)));
            }
            let lower =
                |picture: &Picture| (0..12).map(|i| picture.pixel(i % 6, 2 + i / 6)).collect();
            let drawn: Vec<Vec<_>> = row[2..].iter().map(lower).collect();
            assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2], "each is drawn anew");
        }
    }
}
