//! Taking things out of films.

use super::film_pictures::others;
use super::inpaint::light_pixels;
use super::inpainter::Inpainter;
use super::motion::{Camera, Shift};
use crate::data::Image;
use crate::data::tiles::{Mosaic, Tiles, eight_bits};
use crate::error::{Error, Result, ensure};
use crate::grid::ImageShape;

/// How many other frames are asked for what a frame hides.
const OTHERS: usize = 24;

/// The pixels of each of `frames` frames of `shape` that are light in `masks`: one that stays, or one
/// for each frame.
///
/// # Errors
///
/// When there is another number of masks, one is of another size, or together they mark nothing or
/// everything.
pub fn marked_film(masks: &[Image], shape: ImageShape, frames: usize) -> Result<Vec<Vec<bool>>> {
    ensure!(
        masks.len() == 1 || masks.len() == frames,
        "a film of {frames} frames takes one mask that stays or {frames} of them, got {}",
        masks.len()
    );
    let mut marked = Vec::with_capacity(frames);
    for mask in masks {
        marked.push(light_pixels(mask, shape, "frames")?);
    }
    let all = || marked.iter().flatten();
    ensure!(
        all().any(|&marked| marked),
        "the masks mark no pixel: what is to be filled must be white"
    );
    ensure!(!all().all(|&marked| marked), "the masks mark every pixel: there is nothing to go by");
    if masks.len() == 1 {
        marked.resize(frames, marked[0].clone());
    }
    Ok(marked)
}

impl Inpainter {
    /// A film of 8-bit frames with its `marked` pixels filled; all others keep their values.
    ///
    /// What another frame shows of a place is taken from there: the median of such frames, where the
    /// camera of each saw it. What no frame shows, the model predicts: one of clips all frames together,
    /// tile by tile, and one of images each frame by itself.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill); when frames differ in shape, or there are fewer than a clip of the model
    /// has.
    ///
    /// # Panics
    ///
    /// When there is not a mark for each pixel of each frame.
    pub fn fill_film(&self, frames: &[Image], marked: &[Vec<bool>]) -> Result<Vec<Image>> {
        assert_eq!(frames.len(), marked.len(), "marks for each frame");
        let (frames, unseen) = from_other_frames(frames, marked)?;
        if self.tile.frames > 1 {
            return self.fill_clip(&frames, &unseen);
        }
        let each = frames.iter().zip(&unseen);
        each.map(|(frame, unseen)| match unseen.contains(&true) {
            true => self.fill(frame, unseen),
            false => frame.clone().with_channels(self.tile.channels),
        })
        .collect()
    }

    /// All frames by a model of clips.
    fn fill_clip(&self, frames: &[Image], marked: &[Vec<bool>]) -> Result<Vec<Image>> {
        let (count, length) = (frames.len(), self.tile.frames);
        ensure!(
            count >= length,
            "a film of {count} frames is shorter than the clips of {length} frames that the model fills"
        );
        ensure!(
            length.is_multiple_of(2) || count == length,
            "a model of clips of {length} frames, which have no half, fills films of as many, got {count}"
        );
        let channels = self.tile.channels;
        let frames = frames.iter().map(|frame| frame.clone().with_channels(channels));
        let clip = Image::clip(&frames.collect::<Result<Vec<_>>>()?)?;
        let (shape, tile) = (clip.frame_shape(), self.tile.frame());
        let marked = marked.concat();
        let tiles = Tiles::new(shape, tile);
        let mut mosaic = Mosaic::new(&tiles, channels * count);
        for index in 0..tiles.count() {
            let marked = tiles.cut(index, &marked);
            let stacked = ImageShape { frames: count, height: tile.height * count, ..self.tile };
            let mut part = Image::new(stacked, tiles.cut(index, clip.bytes()?))?;
            if marked.contains(&true) {
                part = self.fill(&part, &marked)?;
            }
            mosaic.add(index, &part.values());
        }
        let filled = eight_bits(clip.shape(), &mosaic.values())?;
        let pixels = filled.bytes()?.iter().zip(clip.bytes()?).zip(marked.iter().cycle());
        let pixels = pixels.map(|((&new, &old), &marked)| if marked { new } else { old });
        let filled = Image::new(clip.shape(), pixels.collect())?;
        Ok((0..count).map(|frame| filled.frame(frame)).collect())
    }
}

/// The frames with marked pixels as other frames show them, and what of these no frame shows.
fn from_other_frames(
    frames: &[Image],
    marked: &[Vec<bool>],
) -> Result<(Vec<Image>, Vec<Vec<bool>>)> {
    let Some(first) = frames.first() else { return Err(Error::config("a film without frames")) };
    let shape = first.shape();
    let mut camera = Camera::default();
    let mut places: Vec<Shift> = Vec::with_capacity(frames.len());
    for frame in frames {
        ensure!(
            frame.shape() == shape,
            "all frames of a film have one shape, got {} after {shape}",
            frame.shape()
        );
        places.push(camera.follow(frame)?);
    }
    let (mut filled, mut unseen) = (Vec::with_capacity(frames.len()), marked.to_vec());
    for (index, frame) in frames.iter().enumerate() {
        let others: Vec<(usize, [isize; 2])> = others(frames.len(), index, OTHERS)
            .map(|other| {
                let (now, then) = (places[index], places[other]);
                (other, [then.0 - now.0, then.1 - now.1].map(|shift| shift.round() as isize))
            })
            .collect();
        let mut pixels = frame.bytes()?.to_vec();
        let area = shape.height * shape.width;
        for at in (0..area).filter(|&at| marked[index][at]) {
            let seen: Vec<(usize, usize)> = others
                .iter()
                .filter_map(|&(other, [right, down])| {
                    let x = (at % shape.width).checked_add_signed(right)?;
                    let y = (at / shape.width).checked_add_signed(down)?;
                    let place = y * shape.width + x;
                    let is_seen = x < shape.width && y < shape.height && !marked[other][place];
                    is_seen.then_some((other, place))
                })
                .collect();
            if seen.is_empty() {
                continue;
            }
            unseen[index][at] = false;
            for channel in 0..shape.channels {
                let values =
                    seen.iter().map(|&(other, place)| Ok(frames[other].plane(channel)?[place]));
                let mut values = values.collect::<Result<Vec<u8>>>()?;
                let middle = values.len() / 2;
                pixels[channel * area + at] = *values.select_nth_unstable(middle).1;
            }
        }
        filled.push(Image::new(shape, pixels)?);
    }
    Ok((filled, unseen))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape::new(1, 4, 12);

    fn at(column: usize) -> Vec<bool> {
        (0..48).map(|at| at % 12 == column).collect()
    }

    /// A ground of one column a level, and a white column in it that wanders.
    fn frame(column: usize) -> Image {
        let levels = (0..48).map(|at| if at % 12 == column { 255 } else { 10 * (at % 12) as u8 });
        Image::new(SHAPE, levels.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_moves_away_is_filled_with_what_was_behind_it() {
        let frames: Vec<_> = (2..8).map(frame).collect();
        let marked: Vec<_> = (2..8).map(at).collect();
        let (filled, unseen) = from_other_frames(&frames, &marked).unwrap();
        for (filled, unseen) in filled.iter().zip(unseen) {
            assert!(!unseen.contains(&true));
            assert_eq!(
                filled.bytes().unwrap()[..12],
                [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]
            );
        }
    }

    #[test]
    fn what_no_frame_shows_is_left_to_the_model() {
        let (filled, unseen) = from_other_frames(&[frame(3), frame(3)], &[at(3), at(3)]).unwrap();
        assert_eq!(filled, [frame(3), frame(3)]);
        assert_eq!(unseen, [at(3), at(3)]);
    }

    #[test]
    fn a_mask_stays_or_there_is_one_for_each_frame() {
        let mask = |column: usize| {
            let levels = at(column).into_iter().map(|marked| if marked { 255_u8 } else { 0 });
            Image::new(SHAPE, levels.collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(marked_film(&[mask(1)], SHAPE, 3).unwrap(), [at(1), at(1), at(1)]);
        assert_eq!(marked_film(&[mask(1), mask(2)], SHAPE, 2).unwrap(), [at(1), at(2)]);
        let message = |masks: &[Image], frames| {
            marked_film(masks, ImageShape { channels: 3, ..SHAPE }, frames).unwrap_err().to_string()
        };
        assert!(
            message(&[mask(1), mask(2)], 3).contains("one mask that stays or 3 of them, got 2")
        );
        assert!(message(&[mask(20)], 2).contains("mark no pixel"));
        let white = Image::new(SHAPE, vec![255_u8; 48]).unwrap();
        assert!(message(&[white], 2).contains("mark every pixel"));
        let other = Image::new(ImageShape::new(1, 2, 12), vec![255_u8; 24]).unwrap();
        assert!(message(&[other], 2).contains("2×12 pixels cannot mark frames of 4×12"));
    }
}
