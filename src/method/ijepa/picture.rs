//! What I-JEPA sees and predicts, as a picture.

use burn::tensor::Tensor;

use super::{IJepa, IJepaBatch};
use crate::error::Result;
use crate::grid::Grid;
use crate::image::{ChannelStatistics, denormalize, grid_of};
use crate::mask::UnitMask;
use crate::nn::unit;
use crate::viz::{Picture, PictureGrid, masked, pictures};

/// One row for each image: the image, its context, its target blocks, and in each of the latter's
/// cells how well its features were predicted.
///
/// `statistics` are those that the images were normalized with.
///
/// # Errors
///
/// When there is no image.
pub fn ijepa_sheet(
    title: &str,
    task: &IJepa,
    batch: &IJepaBatch,
    statistics: &ChannelStatistics,
) -> Result<PictureGrid> {
    let grid = grid_of(&batch.images, task.encoder.config().patch);
    let contexts = batch.masks.context.samples();
    let targets = batch.masks.targets.samples().len() / contexts.len();
    let cosines = cosines(task, batch, grid);
    let images = denormalize(batch.images.clone(), &statistics.mean, &statistics.std);
    let columns = ["image", "context", "target blocks", "likeness"];
    let mut sheet = PictureGrid::new(title, columns).with_footer(
        "Likeness: the cosine of a cell's predicted and true features, black for 0 and less, white for \
         1; the mean where blocks overlap.",
    );
    if let Some(note) = Picture::channel_note(batch.images.dims()[1]) {
        sheet = sheet.with_footer(note);
    }
    let of_images = cosines.chunks(targets * grid.cells());
    for ((image, context), cosines) in pictures(images)?.into_iter().zip(contexts).zip(of_images) {
        let cells: Vec<Option<f32>> = (0..grid.cells())
            .map(|cell| {
                let blocks = cosines.chunks(grid.cells()).filter_map(|block| block[cell]);
                let (sum, count) =
                    blocks.fold((0.0, 0.0), |(sum, count), cosine| (sum + cosine, count + 1.0));
                (count > 0.0).then(|| sum / count)
            })
            .collect();
        let not_asked = UnitMask::new(grid, cells.iter().map(Option::is_none).collect())?;
        let (width, height) = (image.width(), image.height());
        let likeness = Picture::from_fn(width, height, |x, y| {
            let cell = y * grid.rows / height * grid.cols + x * grid.cols / width;
            [(cells[cell].unwrap_or(0.0).clamp(0.0, 1.0) * 255.0).round() as u8; 3]
        });
        let seen = masked(&image, &context.at(grid)?);
        let blocks = masked(&image, &not_asked);
        sheet.push_row(vec![image, seen, blocks, masked(&likeness, &not_asked)])?;
    }
    Ok(sheet)
}

/// The cosine of predicted and true features, for every cell of every target mask; `None` where it is
/// not asked for.
fn cosines(task: &IJepa, batch: &IJepaBatch, grid: Grid) -> Vec<Option<f32>> {
    let seen = task.see(batch, None);
    let cosines = (unit(seen.predicted.without_autodiff(), 2) * unit(seen.value, 2)).sum_dim(2);
    let asked = batch.masks.targets.at(grid).asked;
    let nothing = Tensor::zeros([1, 1], (&cosines.device(), cosines.dtype()));
    let (asked, cosines) = (asked.contains().into_data(), asked.fill(cosines, nothing).into_data());
    asked
        .iter::<bool>()
        .zip(cosines.iter::<f32>())
        .map(|(asked, cosine)| asked.then_some(cosine))
        .collect()
}
