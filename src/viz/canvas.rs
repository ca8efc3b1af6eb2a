//! Smooth drawing with plotters into a [`Picture`].

use std::error::Error as StdError;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::BitMapBackend;

use crate::error::{Error, Result};
use crate::viz::picture::Picture;

/// The area that plotters draws on, in fine pixels.
pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// The result of drawing. The error is boxed because plotters' own error types name the backend.
pub(super) type DrawResult<T = ()> = std::result::Result<T, Box<dyn StdError>>;

/// White, the color of the page.
pub(super) const PAPER: [u8; 3] = [255; 3];

/// Fine pixels along one pixel of the picture.
///
/// plotters smooths neither wide lines nor the positions of letters, so it draws on a finer area and
/// the picture is the mean of it.
const FINE: usize = 3;

/// A length in pixels of the picture, converted to fine pixels.
pub(super) const fn fine(pixels: usize) -> u32 {
    (pixels * FINE) as u32
}

/// A white picture of `width` × `height` pixels with what `paint` draws on it in [`fine`] pixels.
///
/// # Errors
///
/// When plotters cannot draw. When it draws into memory, that means it has no font.
pub(super) fn draw(
    width: usize,
    height: usize,
    paint: impl FnOnce(&Area<'_>) -> DrawResult,
) -> Result<Picture> {
    let mut buffer = vec![PAPER; width * FINE * height * FINE];
    let backend =
        BitMapBackend::with_buffer(buffer.as_flattened_mut(), (fine(width), fine(height)));
    let area = backend.into_drawing_area();
    paint(&area).and_then(|()| Ok(area.present()?)).map_err(|e| fault(&*e))?;
    drop(area);
    Ok(Picture::from_fn(width, height, |x, y| mean(&buffer, width * FINE, x * FINE, y * FINE)))
}

/// The error of a drawing that failed.
pub(super) fn fault(reason: &dyn StdError) -> Error {
    Error::config(format!("the picture cannot be drawn: {reason}"))
}

/// The mean of the square of fine pixels whose upper left corner is (`left`, `top`).
fn mean(buffer: &[[u8; 3]], width: usize, left: usize, top: usize) -> [u8; 3] {
    let mut sum = [0; 3];
    for row in top..top + FINE {
        for pixel in &buffer[row * width + left..][..FINE] {
            for (total, &value) in sum.iter_mut().zip(pixel) {
                *total += usize::from(value);
            }
        }
    }
    sum.map(|total| (total / (FINE * FINE)) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::prelude::{BLACK, Color, Rectangle};

    #[test]
    fn a_fine_pixel_darkens_its_pixel_by_its_share() {
        let picture = draw(2, 2, |area| {
            area.draw(&Rectangle::new([(0, 0), (3, 1)], BLACK.filled()))?;
            Ok(())
        })
        .unwrap();
        // plotters leaves out the far corner: 3 × 1 of 9 fine pixels are black.
        assert_eq!(picture.pixel(0, 0), [170; 3]);
        assert_eq!([(1, 0), (0, 1), (1, 1)].map(|(x, y)| picture.pixel(x, y)), [PAPER; 3]);
    }
}
