//! Clips, what a model sees of them and what it predicts, as pictures.

use burn::tensor::Tensor;

use super::VideoMae;
use crate::batch::ClipBatch;
use crate::error::Result;
use crate::grid::{ClipShape, Grid, ImageShape};
use crate::image::{ChannelStatistics, denormalize, stack_frames};
use crate::mask::UnitMask;
use crate::viz::{Animation, HIDDEN, Picture, PictureGrid};

/// Clips of a batch, each as its frames, the frames as the model sees them, and the model's prediction
/// of what is hidden beside what is visible.
#[derive(Debug, Clone)]
pub struct ClipStrips {
    title: String,
    note: &'static str,
    /// Of each clip three rows of frames.
    clips: Vec<[Vec<Picture>; 3]>,
}

/// Clips that one page shows.
const CLIPS: usize = 4;

/// The first clips of `batch` and what `model` predicts of them; `statistics` are those that the clips
/// were normalized with.
///
/// # Errors
///
/// When the clips do not divide into the mask's units.
pub fn clip_strips(
    title: &str,
    model: &VideoMae,
    batch: &ClipBatch,
    statistics: &ChannelStatistics,
) -> Result<ClipStrips> {
    let [count, channels, frames, height, width] = batch.clips.dims();
    let shape = ClipShape::new(ImageShape::new(channels, height, width), frames).stacked();
    let values = |clips: Tensor<4>| -> Vec<f32> { clips.into_data().iter().collect() };
    let clips = stack_frames(batch.clips.clone());
    let clips = values(denormalize(clips, &statistics.mean, &statistics.std));
    // Predictions are in the units of the data already.
    let predicted = values(stack_frames(model.reconstruct(batch)));
    let each = clips.chunks(shape.values()).zip(predicted.chunks(shape.values()));
    let each = each.zip(batch.mask.samples()).take(count.min(CLIPS));
    let clips = each.map(|((clip, predicted), mask)| {
        let clip = Picture::from_planar(shape, clip)?;
        let predicted = Picture::from_planar(shape, predicted)?;
        Ok(rows([&clip, &predicted], mask, [frames, height]))
    });
    let note = match model.target.normalized {
        true => {
            "Predictions have the true mean and contrast of each tubelet, which the model did not see."
        }
        false => "",
    };
    Ok(ClipStrips { title: title.into(), note, clips: clips.collect::<Result<_>>()? })
}

/// Three rows of frames of pictures that have all frames one below the other.
fn rows(
    [clip, predicted]: [&Picture; 2],
    mask: &UnitMask,
    [frames, height]: [usize; 2],
) -> [Vec<Picture>; 3] {
    let (width, Grid { rows, cols }) = (clip.width(), mask.grid());
    let side = width / cols;
    let each = height / side;
    let tubelet = frames * each / rows;
    let is_hidden = |frame: usize, x: usize, y: usize| {
        mask.is_hidden(frame / tubelet * each + y / side, x / side)
    };
    // What is shown of visible places, and of hidden ones; nothing is one color.
    let row = |visible: &Picture, hidden: Option<&Picture>| {
        let frame = |frame: usize| {
            Picture::from_fn(width, height, |x, y| {
                let of = if is_hidden(frame, x, y) { hidden } else { Some(visible) };
                of.map_or(HIDDEN, |picture| picture.pixel(x, frame * height + y))
            })
        };
        (0..frames).map(frame).collect::<Vec<_>>()
    };
    [row(clip, Some(clip)), row(clip, None), row(clip, Some(predicted))]
}

impl ClipStrips {
    /// All frames side by side: three rows for each clip.
    ///
    /// # Errors
    ///
    /// When there is no clip, or a text cannot be drawn.
    pub fn sheet(&self) -> Result<Picture> {
        let frames = self.clips.first().map_or(0, |rows| rows[0].len());
        let columns = (1..=frames).map(|frame| format!("frame {frame}"));
        let note = "Of each clip: its frames, what the encoder sees of them, and the prediction beside it.";
        let mut grid = PictureGrid::new(&self.title, columns).with_footer(note);
        if !self.note.is_empty() {
            grid = grid.with_footer(self.note);
        }
        for row in self.clips.iter().flatten() {
            grid.push_row(row.clone())?;
        }
        grid.render()
    }

    /// The same, moving: one frame after the other, the three of each clip side by side.
    ///
    /// # Errors
    ///
    /// When there is no clip, or a text cannot be drawn.
    pub fn animation(&self) -> Result<Animation> {
        let frames = self.clips.first().map_or(0, |rows| rows[0].len());
        let page = |frame: usize| {
            let columns = ["input", "masked", "prediction + visible"];
            let mut grid = PictureGrid::new(&self.title, columns);
            for rows in &self.clips {
                grid.push_row(rows.iter().map(|row| row[frame].clone()).collect())?;
            }
            grid.render()
        };
        Ok(Animation::new((0..frames).map(page).collect::<Result<_>>()?)?.with_milliseconds(200))
    }
}
