//! From pixels to cells and back.

use crate::grid::{ClipGrid, ImageShape};

/// How far a color may differ from that of a cell, as a share of white: a deviation.
const COLOR: f32 = 0.1;

/// How far away a cell may lie, in cells: a deviation, and where it ends.
const NEAR: f32 = 1.0;
const REACH: usize = 3;

/// A clip in cells.
#[derive(Debug)]
pub(super) struct Cells<'a> {
    pub(super) clip: ImageShape,
    pub(super) grid: ClipGrid,
    /// `[channels][frames][height][width]`, from 0 to 1.
    pub(super) pixels: &'a [f32],
}

impl Cells<'_> {
    /// Frames of a cell, and its side in pixels.
    fn size(&self) -> (usize, usize) {
        (self.clip.frames / self.grid.times, self.clip.width / self.grid.space.cols)
    }

    /// The cell of a pixel of a frame, counted row by row.
    fn of(&self, frame: usize, pixel: usize) -> usize {
        let (tubelet, patch) = self.size();
        let (row, col) = (pixel / self.clip.width, pixel % self.clip.width);
        let space = self.grid.space;
        (frame / tubelet * space.rows + row / patch) * space.cols + col / patch
    }

    /// The mean of each cell of a plane for each frame, `[frames][height][width]`.
    pub(super) fn means(&self, planes: &[f32]) -> Vec<f32> {
        let area = planes.len() / self.clip.frames;
        let (tubelet, patch) = self.size();
        let mut means = vec![0.0; self.grid.cells()];
        for (at, value) in planes.iter().enumerate() {
            means[self.of(at / area, at % area)] += value / (tubelet * patch * patch) as f32;
        }
        means
    }

    /// What each pixel has of the values of the cells around it, `[frames][height][width]`: a mean in
    /// which those of its color count most, and near ones more than others (as in a bilateral filter,
    /// Tomasi and Manduchi 1998).
    pub(super) fn refined(&self, values: &[f32]) -> Vec<f32> {
        let ImageShape { channels, width, frames, .. } = self.clip;
        let area = self.pixels.len() / (channels * frames);
        let (tubelet, patch) = self.size();
        let space = self.grid.space;
        let colors: Vec<Vec<f32>> =
            self.pixels.chunks_exact(frames * area).map(|planes| self.means(planes)).collect();
        let mut refined = Vec::with_capacity(frames * area);
        for (frame, pixel) in (0..frames).flat_map(|frame| (0..area).map(move |at| (frame, at))) {
            let place = |at: usize| (at as f32 + 0.5) / patch as f32 - 0.5;
            let (row, col) = (place(pixel / width), place(pixel % width));
            let near = |at: f32, count: usize| {
                let middle = at.round().max(0.0) as usize;
                middle.saturating_sub(REACH)..(middle + REACH + 1).min(count)
            };
            let (mut sum, mut weights) = (0.0, 0.0);
            for y in near(row, space.rows) {
                for x in near(col, space.cols) {
                    let cell = (frame / tubelet * space.rows + y) * space.cols + x;
                    let color =
                        |channel: usize| self.pixels[(channel * frames + frame) * area + pixel];
                    let differences = colors
                        .iter()
                        .enumerate()
                        .map(|(c, means)| (color(c) - means[cell]).powi(2));
                    let far = (y as f32 - row).powi(2) + (x as f32 - col).powi(2);
                    let unlike = differences.sum::<f32>() / (COLOR * COLOR) + far / (NEAR * NEAR);
                    // Where no cell has the color, near ones decide.
                    let weight = (-0.5 * unlike).exp() + 1e-12 / (1.0 + far);
                    sum += weight * values[cell];
                    weights += weight;
                }
            }
            refined.push(sum / weights);
        }
        refined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    /// Two frames of 4 × 8 pixels in tubelets of 2 × 4 × 4: two cells.
    const GRID: ClipGrid = ClipGrid::new(1, Grid::new(1, 2));

    fn cells(pixels: &[f32]) -> Cells<'_> {
        let clip = ImageShape { frames: 2, ..ImageShape::new(1, 8, 8) };
        Cells { clip, grid: GRID, pixels }
    }

    #[test]
    fn a_cell_has_the_mean_of_its_pixels_in_all_of_its_frames() {
        let plane: Vec<f32> =
            (0..64).map(|at| if at % 8 < 4 { 1.0 } else { (at / 32) as f32 }).collect();
        assert_eq!(cells(&plane).means(&plane), [1.0, 0.5]);
    }

    #[test]
    fn a_pixel_has_what_the_cells_of_its_color_have() {
        // A black and a white cell; in the white one there is a black pixel.
        let pixel = |at: usize| if at % 8 < 4 || at == 7 { 0.0 } else { 1.0 };
        let pixels: Vec<f32> = (0..64).map(pixel).collect();
        let refined = cells(&pixels).refined(&[0.9, 0.1]);
        assert!((refined[0] - 0.9).abs() < 1e-3 && (refined[6] - 0.1).abs() < 1e-3);
        assert!((refined[7] - 0.9).abs() < 1e-3, "{}", refined[7]);
    }

    #[test]
    fn of_one_color_shares_change_gradually() {
        let refined = cells(&[0.5; 64]).refined(&[1.0, 0.0]);
        assert!(refined[..8].windows(2).all(|pair| pair[0] > pair[1]), "{:?}", &refined[..8]);
        assert!((refined[3] + refined[4] - 1.0).abs() < 1e-5);
    }
}
