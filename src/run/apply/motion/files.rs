//! What moves in a film, as files.

use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::Moving;
use crate::data::Image;
use crate::error::{Error, Result};
use crate::file::{create_folder, write_whole};
use crate::grid::ImageShape;
use crate::run::apply::film_pictures::{FilmPictures, small_picture};
use crate::viz::Picture;

/// What moving pixels are shown in, and how much of them it is at most.
const RED: [u8; 3] = [255, 32, 32];
const MOST_RED: f32 = 0.75;

/// Writes what moves in a film to a folder, frame by frame: `000001.png`, ..., each pixel's share of motion
/// in 16 bits; and in the end `before_after.gif`, which moves, and `before_after.png`, a strip of frames:
/// the film, its motion, and the film with what moves in red.
#[derive(Debug)]
pub struct MotionFiles {
    folder: PathBuf,
    pictures: FilmPictures,
}

impl MotionFiles {
    /// Files in the folder `folder`, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or there is something in it.
    pub fn create(folder: &Path) -> Result<Self> {
        create_folder(folder)?;
        let mut entries = fs::read_dir(folder).map_err(|error| Error::data(folder, error))?;
        if entries.next().is_some() {
            let reason = "holds something already: name a folder that is empty or not there";
            return Err(Error::data(folder, reason));
        }
        let pictures = FilmPictures::new("What moves", ["before", "motion", "after"]);
        Ok(Self { folder: folder.into(), pictures })
    }

    /// Writes the next frame's motion.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, moving: &Moving) -> Result<()> {
        let path = self.folder.join(format!("{:06}.png", self.pictures.count() + 1));
        let png = in_16_bits(&moving.motion).map_err(|error| Error::data(&path, error))?;
        write_whole(&path, &png).map_err(|error| Error::data(&path, error))?;
        self.pictures.add(|| pictures(moving))
    }

    /// Writes the pictures, and yields how many frames there were.
    ///
    /// # Errors
    ///
    /// When there was none, or a picture cannot be written.
    pub fn finish(self) -> Result<usize> {
        self.pictures.animation()?.save(self.folder.join("before_after.gif"))?;
        self.pictures.strip()?.save(self.folder.join("before_after.png"))?;
        Ok(self.pictures.count())
    }
}

/// An image of one channel of numbers from 0 to 1 as a gray PNG file of 16 bits.
fn in_16_bits(image: &Image) -> Result<Vec<u8>> {
    let ImageShape { height, width, .. } = image.shape();
    let level = |value: f32| ((value.clamp(0.0, 1.0) * 65535.0).round() as u16).to_ne_bytes();
    let levels: Vec<u8> = image.values().into_iter().flat_map(level).collect();
    let mut png = Vec::new();
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    PngEncoder::new(&mut png)
        .write_image(&levels, side(width), side(height), ExtendedColorType::L16)
        .map_err(|error| Error::config(format!("it cannot be encoded as PNG: {error}")))?;
    Ok(png)
}

/// A frame, its motion, and the frame with what moves in red.
fn pictures(moving: &Moving) -> Result<Vec<Picture>> {
    let (frame, motion) = (small_picture(&moving.frame)?, small_picture(&moving.motion)?);
    let reddened = Picture::from_fn(frame.width(), frame.height(), |x, y| {
        let share = MOST_RED * f32::from(motion.pixel(x, y)[0]) / 255.0;
        let mixed = |channel: usize| {
            let (from, to) = (f32::from(frame.pixel(x, y)[channel]), f32::from(RED[channel]));
            (from + share * (to - from)).round() as u8
        };
        [0, 1, 2].map(mixed)
    });
    Ok(vec![frame, motion, reddened])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moving() -> Moving {
        let shape = ImageShape::new(1, 2, 3);
        let still = Image::new(shape, vec![100_u8; 6]).unwrap();
        let shares = (0..6).map(|at| (at % 2) as f32).collect::<Vec<_>>();
        Moving { frame: still.clone(), still, motion: Image::new(shape, shares).unwrap() }
    }

    #[test]
    fn a_film_leaves_a_map_for_each_frame_and_two_pictures() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("motion");
        let mut files = MotionFiles::create(&folder).unwrap();
        (0..3).for_each(|_| files.add(&moving()).unwrap());
        assert_eq!(files.finish().unwrap(), 3);
        let map = image::open(folder.join("000003.png")).unwrap().into_luma16();
        assert_eq!(map.as_raw(), &[0, 65535, 0, 65535, 0, 65535]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 5);
        let message = MotionFiles::create(&folder).unwrap_err().to_string();
        assert!(message.contains("holds something already"), "{message}");
    }

    #[test]
    fn what_moves_is_red() {
        let pictures = pictures(&moving()).unwrap();
        let at = |x: usize| pictures.iter().map(|shown| shown.pixel(x, 0)).collect::<Vec<_>>();
        assert_eq!(at(0), [[100; 3], [0; 3], [100; 3]]);
        assert_eq!(at(1), [[100; 3], [255; 3], [216, 49, 49]]);
    }
}
