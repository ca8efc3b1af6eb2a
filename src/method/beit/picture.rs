//! Tokens as colors: what can be shown of tokens that do not decode to pixels.

use burn::tensor::{Int, Tensor};

use crate::batch::MimBatch;
use crate::encoder::Encoder;
use crate::error::Result;
use crate::grid::Grid;
use crate::head::PredictionHead;
use crate::image::{ChannelStatistics, denormalize};
use crate::target::{TokenTarget, Tokenizer};
use crate::task::Mim;
use crate::viz::{Picture, PictureGrid, masked, pictures};

const COLUMNS: [&str; 4] = ["input", "masked", "true tokens", "predicted tokens"];

/// A sheet of `batch`, one row per sample: what the model saw, the tokens of the image, and those
/// it predicted of the rest; each token in a color of its own.
///
/// `statistics` are those that the batch's images were normalized with.
///
/// # Errors
///
/// When the batch is empty, or a text cannot be drawn.
pub fn token_sheet<E, H, K>(
    title: &str,
    model: &Mim<E, H, TokenTarget<K>>,
    batch: &MimBatch,
    statistics: &ChannelStatistics,
) -> Result<PictureGrid>
where
    E: Encoder<Images = Tensor<4>>,
    H: PredictionHead<E::Features, Prediction = Tensor<3>>,
    K: Tokenizer,
{
    let [_, _, height, width] = batch.images.dims();
    let target = &model.target;
    let grid = target.grid(batch);
    let maps = |ids| token_maps(ids, grid, [height, width]);
    let images = pictures(denormalize(batch.images.clone(), &statistics.mean, &statistics.std))?;
    let truth = maps(target.ids(batch));
    let predictions = maps(target.completed_ids(model.predict(batch), batch));
    let mut sheet = PictureGrid::new(title, COLUMNS).with_footer(
        "Each token has a color of its own. Gray: hidden from the encoder. Black: visible, so not predicted.",
    );
    let drawn = truth.into_iter().zip(predictions);
    for ((image, mask), (truth, prediction)) in images.iter().zip(batch.mask.samples()).zip(drawn) {
        let units = mask.grid();
        let prediction = Picture::from_fn(width, height, |x, y| {
            let hidden = mask.is_hidden(y * units.rows / height, x * units.cols / width);
            if hidden { prediction.pixel(x, y) } else { [0; 3] }
        });
        sheet.push_row(vec![image.clone(), masked(image, mask), truth, prediction])?;
    }
    Ok(sheet)
}

/// A picture of `[height, width]` pixels for each row of `ids`, every cell in its token's color.
///
/// # Shapes
///
/// - ids: `[batch, cells]`, row-major over `grid`
pub fn token_maps(ids: Tensor<2, Int>, grid: Grid, [height, width]: [usize; 2]) -> Vec<Picture> {
    let ids: Vec<i64> = ids.into_data().iter().collect();
    let map = |ids: &[i64]| {
        Picture::from_fn(width, height, |x, y| {
            let cell = y * grid.rows / height * grid.cols + x * grid.cols / width;
            color(ids[cell].unsigned_abs())
        })
    };
    ids.chunks(grid.cells()).map(map).collect()
}

/// Hues by the golden ratio, so that tokens of near ids differ most; three degrees of lightness.
fn color(id: u64) -> [u8; 3] {
    let hue = (id as f64 * 0.618_033_988_75).fract() * 6.0;
    let lightest = [1.0, 0.78, 0.58][id as usize % 3];
    // How far a primary is from the hue, on the circle of six.
    [0.0, 2.0, 4.0].map(|primary: f64| {
        let apart = (hue - primary).abs();
        let apart = apart.min(6.0 - apart);
        let share = (2.0 - apart).clamp(0.0, 1.0);
        (255.0 * lightest * (0.15 + 0.85 * share)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn equal_tokens_have_equal_colors_and_all_of_a_vocabulary_differ() {
        let ids = Tensor::from_ints([[7, 3, 7, 0, 1, 2]], &test_device());
        let map = token_maps(ids, Grid::new(2, 3), [4, 6]).remove(0);
        assert_eq!(map.pixel(0, 1), map.pixel(5, 0));
        assert_ne!(map.pixel(1, 1), map.pixel(2, 1));
        assert_ne!(map.pixel(1, 1), map.pixel(1, 2));
        let mut colors: Vec<_> = (0..512).map(color).collect();
        colors.sort_unstable();
        colors.dedup();
        assert_eq!(colors.len(), 512);
    }
}
