//! Pictures of what was made of a film: one that moves, and a strip of frames.

use super::picture;
use crate::data::Image;
use crate::error::Result;
use crate::viz::{Animation, Picture, PictureGrid};

/// The most frames of the animation, and of the strip.
const ANIMATED: usize = 48;
const IN_STRIP: usize = 6;

/// The widest frames, in pixels: larger ones are shrunk.
const WIDEST: usize = 320;

/// Collects a few frames of a film of any length, evenly spread, each with what was made of it.
#[derive(Debug)]
pub struct FilmPictures {
    title: String,
    columns: Vec<String>,
    count: usize,
    /// Every how many frames one is shown, and those that are, with their number.
    every: usize,
    shown: Vec<(usize, Vec<Picture>)>,
}

impl FilmPictures {
    /// No frames yet, of which each will be shown in as many pictures as there are `columns`.
    pub fn new<'a>(title: &str, columns: impl IntoIterator<Item = &'a str>) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { title: title.into(), columns, count: 0, every: 1, shown: Vec::new() }
    }

    /// Takes the next frame, whose pictures are asked for if it is shown.
    ///
    /// # Errors
    ///
    /// When they cannot be drawn.
    pub fn add(&mut self, pictures: impl FnOnce() -> Result<Vec<Picture>>) -> Result<()> {
        if self.count.is_multiple_of(self.every) {
            self.shown.push((self.count, pictures()?));
            if self.shown.len() > ANIMATED {
                // A longer film than there is room for: half as many frames are shown, evenly.
                self.every *= 2;
                self.shown.retain(|(frame, _)| frame.is_multiple_of(self.every));
            }
        }
        self.count += 1;
        Ok(())
    }

    /// How many frames the film has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The frames one after the other, each with its pictures side by side.
    ///
    /// # Errors
    ///
    /// When there is no frame, or pictures differ in size.
    pub fn animation(&self) -> Result<Animation> {
        let page = |(_, pictures): &(usize, Vec<Picture>)| {
            let mut page = PictureGrid::new(&self.title, &self.columns);
            page.push_row(pictures.clone())?;
            page.render()
        };
        Animation::new(self.shown.iter().map(page).collect::<Result<_>>()?)
    }

    /// A few frames side by side, the pictures of each one below the other.
    ///
    /// # Errors
    ///
    /// When there is no frame, or pictures differ in size.
    pub fn strip(&self) -> Result<PictureGrid> {
        let frames: Vec<_> =
            evenly(self.shown.len(), IN_STRIP).map(|index| &self.shown[index]).collect();
        let titles = frames.iter().map(|(frame, _)| format!("frame {}", frame + 1));
        let rows = format!("From above: {}.", self.columns.join(", "));
        let mut page = PictureGrid::new(&self.title, titles).with_footer(rows);
        for row in 0..self.columns.len() {
            page.push_row(frames.iter().map(|(_, pictures)| pictures[row].clone()).collect())?;
        }
        Ok(page)
    }
}

/// An image as a picture that is not too wide to be shown beside others.
///
/// # Errors
///
/// When the image has no pixel.
pub fn small_picture(image: &Image) -> Result<Picture> {
    let picture = picture(image)?;
    Ok(shrunk(&picture, picture.width().div_ceil(WIDEST)))
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

/// Up to `most` of `count` things, evenly spread from the first to the last.
pub(super) fn evenly(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(most);
    (0..taken).map(move |index| match taken {
        1 => count / 2,
        _ => index * (count - 1) / (taken - 1),
    })
}

/// Up to `most` of `count` things but for number `own`, evenly spread.
pub(super) fn others(count: usize, own: usize, most: usize) -> impl Iterator<Item = usize> {
    evenly(count - 1, most).map(move |other| other + usize::from(other >= own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;

    fn film(count: usize) -> FilmPictures {
        let mut pictures = FilmPictures::new("A film", ["before", "after"]);
        let picture = |level: usize| Picture::filled(100, 4, [level as u8; 3]);
        for frame in 0..count {
            pictures.add(|| Ok(vec![picture(frame), picture(frame + 1)])).unwrap();
        }
        pictures
    }

    #[test]
    fn of_a_long_film_a_few_frames_are_shown_evenly() {
        let pictures = film(130);
        let shown: Vec<_> = pictures.shown.iter().map(|(frame, _)| *frame).collect();
        assert_eq!(shown, (0..130).step_by(4).collect::<Vec<_>>());
        assert_eq!((pictures.count(), pictures.animation().unwrap().frames().len()), (130, 33));
        let strip = pictures.strip().unwrap();
        let levels = |row: usize| strip.rows()[row].iter().map(|shown| shown.pixel(0, 0)[0]);
        assert_eq!(levels(0).collect::<Vec<_>>(), [0, 24, 48, 76, 100, 128]);
        assert_eq!(levels(1).collect::<Vec<_>>(), [1, 25, 49, 77, 101, 129]);
        assert!(film(0).animation().is_err());
    }

    #[test]
    fn wide_frames_are_shrunk_to_their_means() {
        let shape = ImageShape::new(1, 2, 641);
        let levels = (0..shape.values()).map(|at| if at % 641 % 3 == 0 { 90_u8 } else { 0 });
        let small = small_picture(&Image::new(shape, levels.collect()).unwrap()).unwrap();
        assert_eq!((small.width(), small.height(), small.pixel(5, 0)), (213, 1, [30; 3]));
    }
}
