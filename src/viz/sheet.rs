//! A page of pictures that shows what a model predicts for hidden patches.

use std::path::Path;

use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::mask::UnitMask;
use crate::viz::picture::Picture;
use crate::viz::picture_grid::{PictureGrid, magnification};

const COLUMNS: [&str; 4] = ["input", "masked", "prediction", "prediction + visible"];

/// Covers what the encoder does not see.
pub(crate) const HIDDEN: [u8; 3] = [173, 181, 189];

/// The two grays of the hatching over cells without a prediction.
const HATCHING: [[u8; 3]; 2] = [[222, 226, 230], [248, 249, 250]];

/// One sample of a [`ReconstructionSheet`].
#[derive(Debug, Clone)]
pub struct SheetRow {
    /// The image, planar (`[channels][height][width]`), 0 = black, 1 = white.
    pub input: Vec<f32>,
    /// The predicted image in the same layout. Only its hidden cells are shown.
    pub prediction: Vec<f32>,
    /// Which cells the encoder did not see. The mask's grid may be coarser than the model's patches
    /// but divides the image.
    pub mask: UnitMask,
}

/// A page with one row per sample: input, masked input, prediction, and prediction pasted into the
/// input.
///
/// The prediction is shown in hidden cells only, since nothing else was predicted; visible cells
/// are hatched there. [`Picture::from_planar`] turns values into colors; for an image with neither
/// 1 nor 3 channels the footer says how.
///
/// The prediction of normalized patches can be shown only with the mean and the deviation of each
/// true patch. These leak the colors and the contrast of the image into the prediction; say so with
/// [`Self::with_note`].
#[derive(Debug, Clone)]
pub struct ReconstructionSheet {
    shape: ImageShape,
    grid: PictureGrid,
}

impl ReconstructionSheet {
    /// A sheet without rows for images of `shape`.
    pub fn new(title: impl Into<String>, shape: ImageShape) -> Self {
        let grid = PictureGrid::new(title, COLUMNS)
            .with_footer("Gray: hidden from the encoder. Hatched: visible, so not predicted.");
        let grid = match Picture::channel_note(shape.channels) {
            Some(note) => grid.with_footer(note),
            None => grid,
        };
        Self { shape, grid }
    }

    /// Adds a paragraph to the footer.
    pub fn with_note(mut self, note: impl AsRef<str>) -> Self {
        self.grid = self.grid.with_footer(note);
        self
    }

    /// Adds a sample.
    ///
    /// # Errors
    ///
    /// When the input or the prediction does not have the sheet's shape, or the mask's grid does
    /// not divide the image.
    pub fn push(&mut self, row: &SheetRow) -> Result<()> {
        let input = Picture::from_planar(self.shape, &row.input)?;
        let prediction = Picture::from_planar(self.shape, &row.prediction)?;
        let (cell_height, cell_width) = cell(self.shape, &row.mask)?;
        // Images are magnified first, so that the hatching is as fine on small images as on large
        // ones.
        let factor = magnification(&input)?;
        let (input, prediction) = (input.magnified(factor), prediction.magnified(factor));
        let (width, height) = (input.width(), input.height());
        let choose = |hidden: &Picture, visible: &Picture| {
            Picture::from_fn(width, height, |x, y| {
                let is_hidden =
                    row.mask.is_hidden(y / (cell_height * factor), x / (cell_width * factor));
                if is_hidden { hidden.pixel(x, y) } else { visible.pixel(x, y) }
            })
        };
        let masked = choose(&Picture::filled(width, height, HIDDEN), &input);
        let alone = choose(&prediction, &Picture::from_fn(width, height, hatching));
        let pasted = choose(&prediction, &input);
        self.grid.push_row(vec![input, masked, alone, pasted])
    }

    /// The whole sheet as a picture.
    ///
    /// # Errors
    ///
    /// When there is no row, or a text cannot be drawn.
    pub fn render(&self) -> Result<Picture> {
        self.grid.render()
    }

    /// Writes the sheet to the PNG file `path`: complete under its name, or not at all.
    ///
    /// # Errors
    ///
    /// When [`Self::render`] or [`Picture::save`] fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.grid.save(path)
    }
}

/// Height and width in pixels of one cell of the mask.
fn cell(shape: ImageShape, mask: &UnitMask) -> Result<(usize, usize)> {
    let grid = mask.grid();
    let divides = grid.cells() > 0
        && shape.height.is_multiple_of(grid.rows)
        && shape.width.is_multiple_of(grid.cols);
    if !divides {
        return Err(Error::config(format!(
            "a mask of {grid} cells does not divide an image of {}×{} pixels into equal cells",
            shape.height, shape.width
        )));
    }
    Ok((shape.height / grid.rows, shape.width / grid.cols))
}

/// Diagonal stripes, which nobody takes for an image.
fn hatching(x: usize, y: usize) -> [u8; 3] {
    HATCHING[usize::from((x + y) % 6 >= 2)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    /// 4 × 6 pixels, of which the mask's 2 × 3 cells hide (0, 1) and (1, 2).
    const SHAPE: ImageShape = ImageShape::new(1, 4, 6);
    const FACTOR: usize = 16;

    fn row() -> SheetRow {
        SheetRow {
            input: (0..24).map(|i| i as f32 / 255.0).collect(),
            prediction: (0..24).map(|i| (200 + i) as f32 / 255.0).collect(),
            mask: UnitMask::new(Grid::new(2, 3), vec![false, true, false, false, false, true])
                .unwrap(),
        }
    }

    fn is_hidden(x: usize, y: usize) -> bool {
        [(1, 0), (2, 1)].contains(&(x / 2, y / 2))
    }

    #[test]
    fn every_column_shows_the_right_pixels_of_hidden_and_visible_cells() {
        let mut sheet = ReconstructionSheet::new("", SHAPE);
        sheet.push(&row()).unwrap();
        let [input, masked, prediction, pasted] = &sheet.grid.rows()[0][..] else {
            panic!("four columns")
        };
        assert_eq!((input.width(), input.height()), (6 * FACTOR, 4 * FACTOR));
        for (x, y) in (0..6).flat_map(|x| (0..4).map(move |y| (x, y))) {
            let (seen, predicted) = ([(y * 6 + x) as u8; 3], [(200 + y * 6 + x) as u8; 3]);
            for (fine_x, fine_y) in [(0, 0), (FACTOR - 1, FACTOR - 1)] {
                let at =
                    |picture: &Picture| picture.pixel(x * FACTOR + fine_x, y * FACTOR + fine_y);
                assert_eq!(at(input), seen);
                assert_eq!(at(masked), if is_hidden(x, y) { HIDDEN } else { seen });
                assert_eq!(at(pasted), if is_hidden(x, y) { predicted } else { seen });
                match is_hidden(x, y) {
                    true => assert_eq!(at(prediction), predicted),
                    false => assert!(HATCHING.contains(&at(prediction))),
                }
            }
        }
    }

    #[test]
    fn what_was_predicted_for_visible_cells_is_never_shown() {
        let mut spoilt = row();
        for (i, value) in spoilt.prediction.iter_mut().enumerate() {
            if !is_hidden(i % 6, i / 6) {
                *value = f32::NAN;
            }
        }
        let [honest, spoilt] = [row(), spoilt].map(|row| {
            let mut sheet = ReconstructionSheet::new("epoch 1", SHAPE);
            sheet.push(&row).unwrap();
            sheet.render().unwrap().to_png().unwrap()
        });
        assert!(honest == spoilt, "equal sheets have equal bytes");
    }

    #[test]
    fn a_mask_that_does_not_divide_the_image_names_both() {
        let mask = UnitMask::new(Grid::new(3, 3), vec![false; 9]).unwrap();
        let message = ReconstructionSheet::new("", SHAPE)
            .push(&SheetRow { mask, ..row() })
            .unwrap_err()
            .to_string();
        assert!(message.contains("3×3 cells") && message.contains("4×6 pixels"), "{message}");
    }

    #[test]
    fn a_row_of_another_shape_is_an_error() {
        let mut sheet = ReconstructionSheet::new("", SHAPE);
        assert!(sheet.push(&SheetRow { input: vec![0.0; 23], ..row() }).is_err());
        assert!(sheet.push(&SheetRow { prediction: vec![0.0; 25], ..row() }).is_err());
        assert!(sheet.render().unwrap_err().to_string().contains("has no row"));
    }

    #[test]
    fn notes_and_false_colors_are_written_under_the_rows() {
        let height = |channels, note: Option<&str>| {
            let shape = ImageShape { channels, ..SHAPE };
            let values = vec![0.5; shape.values()];
            let mut sheet = ReconstructionSheet::new("", shape);
            if let Some(note) = note {
                sheet = sheet.with_note(note);
            }
            sheet.push(&SheetRow { input: values.clone(), prediction: values, ..row() }).unwrap();
            sheet.render().unwrap().height()
        };
        assert!(height(5, None) > height(3, None));
        assert!(height(3, Some("De-normalized with the true statistics.")) > height(3, None));
    }
}
