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
use crate::run::apply::picture;
use crate::viz::{Animation, Picture, PictureGrid};

/// The most frames of the animation, and of the strip.
const ANIMATED: usize = 48;
const IN_STRIP: usize = 6;

/// The widest frames of pictures, in pixels: larger ones are shrunk.
const WIDEST: usize = 320;

/// What moving pixels are shown in, and how much of them it is at most.
const RED: [u8; 3] = [255, 32, 32];
const MOST_RED: f32 = 0.75;

const COLUMNS: [&str; 3] = ["before", "motion", "after"];

/// Writes what moves in a film to a folder, frame by frame: `000001.png`, ..., each pixel's share of motion
/// in 16 bits; and in the end `before_after.gif`, which moves, and `before_after.png`, a strip of frames:
/// the film, its motion, and the film with what moves in red.
#[derive(Debug)]
pub struct MotionFiles {
    folder: PathBuf,
    written: usize,
    /// Every how many frames one is shown, and those that are, with their number.
    every: usize,
    shown: Vec<(usize, [Picture; 3])>,
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
        Ok(Self { folder: folder.into(), written: 0, every: 1, shown: Vec::new() })
    }

    /// Writes the next frame's motion.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, moving: &Moving) -> Result<()> {
        let path = self.folder.join(format!("{:06}.png", self.written + 1));
        let png = in_16_bits(&moving.motion).map_err(|error| Error::data(&path, error))?;
        write_whole(&path, &png).map_err(|error| Error::data(&path, error))?;
        if self.written.is_multiple_of(self.every) {
            self.shown.push((self.written, pictures(moving)?));
            if self.shown.len() > ANIMATED {
                // A longer film than there is room for: half as many frames are shown, evenly.
                self.every *= 2;
                self.shown.retain(|(frame, _)| frame.is_multiple_of(self.every));
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Writes the pictures, and yields how many frames there were.
    ///
    /// # Errors
    ///
    /// When there was none, or a picture cannot be written.
    pub fn finish(self) -> Result<usize> {
        let page = |(_, row): &(usize, [Picture; 3])| {
            let mut page = PictureGrid::new("", COLUMNS);
            page.push_row(row.to_vec())?;
            page.render()
        };
        let frames = self.shown.iter().map(page).collect::<Result<Vec<_>>>()?;
        Animation::new(frames)?.save(self.folder.join("before_after.gif"))?;
        let strip: Vec<_> = super::differences::evenly(self.shown.len(), IN_STRIP)
            .map(|index| &self.shown[index])
            .collect();
        let titles = strip.iter().map(|(frame, _)| format!("frame {}", frame + 1));
        let mut page = PictureGrid::new("What moves", titles).with_footer(
            "The film, each pixel's share of motion, and the film with what moves in red.",
        );
        for row in 0..COLUMNS.len() {
            page.push_row(strip.iter().map(|(_, pictures)| pictures[row].clone()).collect())?;
        }
        page.save(self.folder.join("before_after.png"))?;
        Ok(self.written)
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

/// A frame, its motion, and the frame with what moves in red; none wider than [`WIDEST`].
fn pictures(moving: &Moving) -> Result<[Picture; 3]> {
    let (frame, motion) = (picture(&moving.frame)?, picture(&moving.motion)?);
    let factor = frame.width().div_ceil(WIDEST);
    let (frame, motion) = (shrunk(&frame, factor), shrunk(&motion, factor));
    let reddened = Picture::from_fn(frame.width(), frame.height(), |x, y| {
        let share = MOST_RED * f32::from(motion.pixel(x, y)[0]) / 255.0;
        let mixed = |channel: usize| {
            let (from, to) = (f32::from(frame.pixel(x, y)[channel]), f32::from(RED[channel]));
            (from + share * (to - from)).round() as u8
        };
        [0, 1, 2].map(mixed)
    });
    Ok([frame, motion, reddened])
}

/// Means of squares of `factor` × `factor` pixels; what is left over at the right and below is left out,
/// unless nothing else is there.
fn shrunk(picture: &Picture, factor: usize) -> Picture {
    let side = |side: usize| (side / factor).max(1);
    Picture::from_fn(side(picture.width()), side(picture.height()), |x, y| {
        let mut sums = [0; 3];
        let rows = y * factor..((y + 1) * factor).min(picture.height());
        let cols = x * factor..((x + 1) * factor).min(picture.width());
        let count = rows.len() * cols.len();
        for (row, col) in rows.flat_map(|row| cols.clone().map(move |col| (row, col))) {
            for (sum, value) in sums.iter_mut().zip(picture.pixel(col, row)) {
                *sum += usize::from(value);
            }
        }
        sums.map(|sum| (sum / count) as u8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moving(width: usize) -> Moving {
        let shape = ImageShape::new(1, 2, width);
        let still = Image::new(shape, vec![100_u8; shape.values()]).unwrap();
        let shares = (0..shape.values()).map(|at| (at % 2) as f32).collect::<Vec<_>>();
        Moving { frame: still.clone(), still, motion: Image::new(shape, shares).unwrap() }
    }

    #[test]
    fn a_film_of_any_length_leaves_a_map_for_each_frame_and_two_pictures_of_a_few() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = MotionFiles::create(&folder.path().join("motion")).unwrap();
        (0..130).for_each(|_| files.add(&moving(3)).unwrap());
        let shown: Vec<_> = files.shown.iter().map(|(frame, _)| *frame).collect();
        assert_eq!(shown, (0..130).step_by(4).collect::<Vec<_>>());
        assert_eq!(files.finish().unwrap(), 130);
        let last = folder.path().join("motion/000130.png");
        let map = image::open(last).unwrap().into_luma16();
        assert_eq!(map.as_raw(), &[0, 65535, 0, 65535, 0, 65535]);
        for picture in ["before_after.gif", "before_after.png"] {
            assert!(folder.path().join("motion").join(picture).is_file(), "{picture}");
        }
    }

    #[test]
    fn what_moves_is_red_and_wide_frames_are_shrunk() {
        let [frame, motion, after] = pictures(&moving(3)).unwrap();
        assert_eq!(
            [frame.pixel(0, 0), motion.pixel(0, 0), after.pixel(0, 0)],
            [[100; 3], [0; 3], [100; 3]]
        );
        assert_eq!([motion.pixel(1, 0), after.pixel(1, 0)], [[255; 3], [216, 49, 49]]);
        assert_eq!(pictures(&moving(641)).unwrap()[0].width(), 213);
    }

    #[test]
    fn a_film_without_frames_has_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        assert!(MotionFiles::create(folder.path()).unwrap().finish().is_err());
    }
}
