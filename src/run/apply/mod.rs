//! Applies trained models to images of any size.

mod film;
mod film_pictures;
mod inpaint;
mod inpainter;
mod motion;
mod spread;

pub use film::marked_film;
pub use film_pictures::{FilmPictures, small_picture};
pub use inpaint::marked_pixels;
pub use inpainter::{Inpainter, inpaint};
pub use motion::{Differences, Differing, Modelled, MotionBy, MotionFiles, MotionModel, Moving};

pub use crate::method::{denoise, edges, predicted_edges};

use crate::data::Image;
use crate::error::Result;
use crate::viz::{Picture, PictureGrid};

/// An image as a picture.
///
/// # Errors
///
/// When the image has no pixel.
pub fn picture(image: &Image) -> Result<Picture> {
    Picture::from_planar(image.shape(), &image.values())
}

/// Images of one size side by side, each under its title.
///
/// # Errors
///
/// When there is none, two differ in size, or a text cannot be drawn.
pub fn before_after(title: &str, columns: &[(&str, &Image)]) -> Result<PictureGrid> {
    let mut sheet = PictureGrid::new(title, columns.iter().map(|(title, _)| *title));
    let pictures: Result<_> = columns.iter().map(|(_, image)| picture(image)).collect();
    sheet.push_row(pictures?)?;
    Ok(sheet)
}
