//! Arithmetic of grids and image shapes, without tensors.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A grid of cells, row-major; never assumed square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Rows (the image's height in cells).
    pub rows: usize,
    /// Columns (the image's width in cells).
    pub cols: usize,
}

impl Grid {
    /// A grid of `rows` × `cols` cells.
    pub const fn new(rows: usize, cols: usize) -> Self {
        Self { rows, cols }
    }

    /// A square grid of `side` × `side` cells.
    pub const fn square(side: usize) -> Self {
        Self::new(side, side)
    }

    /// The number of cells; `usize::MAX` if the product overflows.
    pub const fn cells(self) -> usize {
        self.rows.saturating_mul(self.cols)
    }

    /// How many `fine` cells lie along each side of one cell of this grid, the same for rows and
    /// columns; `None` when `fine` is not a whole refinement of this grid.
    pub fn refinement(self, fine: Grid) -> Option<usize> {
        let scale = fine.rows.checked_div(self.rows)?;
        let cols = self.cols.checked_mul(scale)?;
        (scale > 0 && fine == Grid::new(self.rows * scale, cols)).then_some(scale)
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.rows, self.cols)
    }
}

/// Channels, height and width of an image in pixels.
///
/// A clip is an image whose frames lie one below the other, as [`ClipGrid::flat`] sees its cells:
/// `height` is that of all frames together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Channels: any number, not only 3.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Frames of a clip, which divide the height; 1 of an image.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub frames: usize,
    /// Of a clip that a model reads, how many frames of its source apart its frames are; 1 otherwise.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
}

const fn one() -> usize {
    1
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

impl ImageShape {
    /// An image of `channels` × `height` × `width`.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width, frames: 1, stride: 1 }
    }

    /// An image of `side` × `side` pixels.
    pub const fn square(channels: usize, side: usize) -> Self {
        Self::new(channels, side, side)
    }

    /// The shape of one frame of a clip; of an image its own.
    pub const fn frame(self) -> Self {
        let frames = if self.frames == 0 { 1 } else { self.frames };
        Self::new(self.channels, self.height / frames, self.width)
    }

    /// How many frames of a source there are from the first frame to the last.
    pub const fn span(self) -> usize {
        span(self.frames, self.stride)
    }

    /// Whether the frames are those of a clip, each of which is a whole number of rows.
    pub(crate) const fn check_frames(self) -> bool {
        self.frames > 0 && self.stride > 0 && self.height.is_multiple_of(self.frames)
    }

    /// The number of values in one image; `usize::MAX` if the product overflows.
    pub const fn values(self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// The grid of `cell` × `cell` pixel squares that tiles the image.
    ///
    /// # Errors
    ///
    /// When `cell` does not divide the height and the width.
    pub fn grid(self, cell: usize) -> Result<Grid> {
        if cell == 0
            || self.height == 0
            || self.width == 0
            || !self.height.is_multiple_of(cell)
            || !self.width.is_multiple_of(cell)
        {
            return Err(Error::config(format!(
                "an image of {}×{} pixels cannot be cut into squares of {cell} pixels",
                self.height, self.width
            )));
        }
        Ok(Grid::new(self.height / cell, self.width / cell))
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.frames > 1 {
            write!(f, "{} frames of ", self.frames)?;
        }
        let Self { channels, height, width, .. } = self.frame();
        write!(f, "{channels}×{height}×{width}")
    }
}

/// How many frames there are from the first of `frames` to the last, `stride` apart.
pub(crate) const fn span(frames: usize, stride: usize) -> usize {
    frames.saturating_sub(1).saturating_mul(stride).saturating_add(1)
}

/// A grid of tubelets: a grid of cells at each step of time.
///
/// [`flat`](Self::flat) is how masks, selections and features see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipGrid {
    /// Steps of time (the clip's frames in tubelets).
    pub times: usize,
    /// The cells of each step.
    pub space: Grid,
}

impl ClipGrid {
    /// A grid of `times` steps of `space`.
    pub const fn new(times: usize, space: Grid) -> Self {
        Self { times, space }
    }

    /// The number of cells; `usize::MAX` if the product overflows.
    pub const fn cells(self) -> usize {
        self.flat().cells()
    }

    /// The steps one below the other: a grid of times · rows × columns, whose row-major order is that
    /// of times, rows and columns. A coarser grid of the same steps stays a coarser grid, so that a
    /// mask unit may cover several patches of a step.
    pub const fn flat(self) -> Grid {
        Grid::new(self.times.saturating_mul(self.space.rows), self.space.cols)
    }
}

impl fmt::Display for ClipGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.times, self.space)
    }
}

/// Frames of one shape, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipShape {
    /// The shape of each frame.
    pub image: ImageShape,
    /// The number of frames.
    pub frames: usize,
}

impl ClipShape {
    /// A clip of `frames` frames of shape `image`.
    pub const fn new(image: ImageShape, frames: usize) -> Self {
        Self { image, frames }
    }

    /// The clip as an image: its frames one below the other.
    pub const fn stacked(self) -> ImageShape {
        let Self { image: ImageShape { channels, height, width, .. }, frames } = self;
        ImageShape { frames, ..ImageShape::new(channels, height.saturating_mul(frames), width) }
    }

    /// The grid of tubelets, `tubelet` frames of `patch` × `patch` pixels each, that tile the clip.
    ///
    /// # Errors
    ///
    /// When `patch` does not divide the height and the width, or `tubelet` the frames.
    pub fn grid(self, tubelet: usize, patch: usize) -> Result<ClipGrid> {
        let Self { image, frames } = self;
        if tubelet == 0 || frames == 0 || !frames.is_multiple_of(tubelet) {
            return Err(Error::config(format!(
                "a clip of {frames} frames cannot be cut into tubelets of {tubelet} frames"
            )));
        }
        Ok(ClipGrid::new(frames / tubelet, image.grid(patch)?))
    }
}

impl fmt::Display for ClipShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames of {}", self.frames, self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refinement_has_one_whole_scale_for_both_axes() {
        let coarse = Grid::new(3, 5);
        assert_eq!(coarse.refinement(Grid::new(6, 10)), Some(2));
        assert_eq!(coarse.refinement(coarse), Some(1));
        assert_eq!(coarse.refinement(Grid::new(6, 5)), None);
        assert_eq!(coarse.refinement(Grid::new(2, 4)), None);
        assert_eq!(Grid::new(0, 0).refinement(coarse), None);
    }

    #[test]
    fn an_image_that_does_not_divide_names_both_sizes() {
        let message = ImageShape::new(3, 30, 32).grid(4).unwrap_err().to_string();
        assert_eq!(
            message,
            "invalid configuration: an image of 30×32 pixels cannot be cut into squares of 4 pixels"
        );
        assert_eq!(ImageShape::new(1, 24, 40).grid(4).unwrap(), Grid::new(6, 10));
    }

    #[test]
    fn the_cells_of_a_clip_are_counted_by_time_then_row_then_column() {
        let grid = ClipGrid::new(4, Grid::new(3, 5));
        assert_eq!((grid.cells(), grid.flat()), (60, Grid::new(12, 5)));
        assert_eq!(grid.to_string(), "4×3×5");
        // The cell of time 2, row 1, column 3.
        assert_eq!((2 * 3 + 1) * grid.flat().cols + 3, 2 * 15 + 5 + 3);
        let finer = ClipGrid::new(4, Grid::new(6, 10));
        assert_eq!(grid.flat().refinement(finer.flat()), Some(2));
    }

    #[test]
    fn frames_that_a_tubelet_does_not_divide_are_named() {
        let clip = ClipShape::new(ImageShape::new(3, 32, 48), 15);
        let message = clip.grid(2, 16).unwrap_err().to_string();
        assert!(message.contains("15 frames") && message.contains("tubelets of 2"), "{message}");
        assert!(clip.grid(0, 16).unwrap_err().to_string().contains("tubelets of 0 frames"));
        assert!(clip.grid(3, 5).unwrap_err().to_string().contains("squares of 5 pixels"));
        assert_eq!(clip.grid(3, 16).unwrap(), ClipGrid::new(5, Grid::new(2, 3)));
        assert_eq!(clip.to_string(), "15 frames of 3×32×48");
    }

    #[test]
    fn a_clip_is_an_image_of_its_frames_one_below_the_other() {
        let stacked = ClipShape::new(ImageShape::new(3, 32, 48), 15).stacked();
        assert_eq!((stacked.height, stacked.width, stacked.frames), (480, 48, 15));
        assert_eq!(stacked.frame(), ImageShape::new(3, 32, 48));
        assert_eq!(stacked.to_string(), "15 frames of 3×32×48");
        let json = serde_json::to_string(&stacked).unwrap();
        assert_eq!(json, r#"{"channels":3,"height":480,"width":48,"frames":15}"#);
        assert_eq!(serde_json::from_str::<ImageShape>(&json).unwrap(), stacked);
        let image = r#"{"channels":3,"height":32,"width":48}"#;
        assert_eq!(serde_json::from_str::<ImageShape>(image).unwrap(), stacked.frame());
    }
}
