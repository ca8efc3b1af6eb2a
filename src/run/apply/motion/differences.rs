//! Motion without a model: how much frames differ from what stands still behind them.

use std::collections::VecDeque;

use super::Moving;
use super::background::{Residual, residual};
use super::camera::Camera;
use super::plane::{Plane, median_size};
use super::shift::Shift;
use crate::config::config;
use crate::data::Image;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::run::apply::film_pictures::others;

/// How far the background may be off its place, in pixels: a shift is not known better, and between
/// pixels it is a mixture.
const OFF: f32 = 0.12;

/// The squared difference, in deviations of what stands still, that is as likely motion as not.
const EVEN: f32 = 9.0;

/// The least deviation of what stands still, in levels of 255: what rounding leaves of it.
const LEAST_NOISE: f32 = 0.5;

/// The most bytes of frames that are held at a time.
const MOST_BYTES: usize = 1 << 32;

config! {
    /// Tells what moves in a film without any model: a frame's pixels are compared with the median of
    /// the same places in frames before and after it, which have been moved onto it where the camera
    /// moves.
    ///
    /// Films are streamed: 2 · `reach` + 1 frames are held at a time.
    ///
    /// ```
    /// use burn_mim::ImageShape;
    /// use burn_mim::data::Image;
    /// use burn_mim::run::apply::Differences;
    ///
    /// // A bright square of 4 × 4 pixels goes 4 pixels to the right in each frame, and is all that a
    /// // camera could be followed by.
    /// let shape = ImageShape::square(1, 24);
    /// let frame = |time: usize| {
    ///     let is_square = |x: usize, y: usize| x / 4 == time && y / 4 == 2;
    ///     let pixel = |at: usize| if is_square(at % 24, at / 24) { 200_u8 } else { 50 };
    ///     Image::new(shape, (0..shape.values()).map(pixel).collect::<Vec<_>>())
    /// };
    /// for (time, moving) in Differences::new().with_camera(false).of((0..6).map(frame)).enumerate() {
    ///     let moves = moving?.motion.values();
    ///     assert!(moves[9 * 24 + 4 * time + 1] > 0.9);
    ///     assert!(moves[21 * 24 + 4 * time + 1] < 0.1);
    /// }
    /// # Ok::<(), burn_mim::Error>(())
    /// ```
    #[derive(Debug, PartialEq)]
    pub struct Differences {
        /// How many frames before and after a frame it is compared with. Default: 24
        pub reach: usize = 24,
        /// With how many of them at most, evenly spread. Default: 9
        pub samples: usize = 9,
        /// Whether the camera may move: the shift of most of the picture from each frame to the next
        /// is found and undone. Default: true
        pub camera: bool = true,
    }
}

impl Differences {
    /// What moves in each of `frames`, in their order; each answer comes [`reach`](Self::reach) frames
    /// after its own.
    pub fn of<I: Iterator<Item = Result<Image>>>(&self, frames: I) -> Differing<I> {
        Differing {
            options: self.clone(),
            frames: Some(frames),
            held: VecDeque::new(),
            camera: Camera::default(),
            next: 0,
            answered: 0,
        }
    }

    /// Checks that there is something to compare a frame with.
    ///
    /// # Errors
    ///
    /// When there is nothing.
    pub fn validate(&self) -> Result<()> {
        ensure!(
            self.reach > 0 && self.samples > 0,
            "a frame is compared with at least 1 other within reach of at least 1, got {} within {}",
            self.samples,
            self.reach
        );
        Ok(())
    }
}

/// A frame that may still be needed.
#[derive(Debug)]
struct Held {
    image: Image,
    /// How far further the first frame's places are in this one.
    place: Shift,
}

/// See [`Differences::of`].
#[derive(Debug)]
pub struct Differing<I> {
    options: Differences,
    /// None once they have ended.
    frames: Option<I>,
    held: VecDeque<Held>,
    camera: Camera,
    /// Which of the held frames is answered next.
    next: usize,
    answered: usize,
}

impl<I: Iterator<Item = Result<Image>>> Iterator for Differing<I> {
    type Item = Result<Moving>;

    fn next(&mut self) -> Option<Result<Moving>> {
        match self.answer() {
            Ok(moving) => moving.map(Ok),
            Err(error) => {
                // After an error there is nothing more.
                (self.frames, self.next) = (None, self.held.len());
                Some(Err(error))
            }
        }
    }
}

impl<I: Iterator<Item = Result<Image>>> Differing<I> {
    fn answer(&mut self) -> Result<Option<Moving>> {
        if self.answered == 0 {
            self.options.validate()?;
        }
        while self.held.len() <= self.next + self.options.reach
            && let Some(frames) = &mut self.frames
        {
            match frames.next() {
                Some(frame) => self.hold(frame?)?,
                None => self.frames = None,
            }
        }
        if self.next >= self.held.len() {
            return Ok(None);
        }
        ensure!(
            self.answered > 0 || self.held.len() > 1,
            "one frame alone shows no motion: a film of at least two is needed"
        );
        let residual = self.residual()?;
        let image = self.held[self.next].image.clone();
        let ImageShape { channels, height, width, .. } = image.shape();
        let shares = shares(&residual, width);
        let still = residual.background.iter().map(|level| level.round() as u8);
        let still =
            Image::new(ImageShape::new(channels, height, width), still.collect::<Vec<_>>())?;
        if self.next == self.options.reach {
            self.held.pop_front();
        } else {
            self.next += 1;
        }
        self.answered += 1;
        let motion = Image::new(ImageShape::new(1, height, width), shares)?;
        Ok(Some(Moving { frame: image, still, motion }))
    }

    /// Takes the next frame in.
    fn hold(&mut self, frame: Image) -> Result<()> {
        let image = frame.in_8_bits();
        if let Some(before) = self.held.back() {
            let (shape, wanted) = (image.shape(), before.image.shape());
            ensure!(
                shape == wanted,
                "all frames of a film have one shape, got {shape} after {wanted}"
            );
        } else {
            check_size(&image, self.options.reach)?;
        }
        let place = if self.options.camera { self.camera.follow(&image)? } else { (0.0, 0.0) };
        self.held.push_back(Held { image, place });
        Ok(())
    }

    /// The next frame to be answered, compared with others.
    fn residual(&self) -> Result<Residual> {
        let frame = &self.held[self.next];
        let first = self.next.saturating_sub(self.options.reach);
        let last = (self.next + self.options.reach).min(self.held.len() - 1);
        let others = others(last + 1 - first, self.next - first, self.options.samples);
        let others = others.map(|other| {
            let other = &self.held[first + other];
            let shift = (other.place.0 - frame.place.0, other.place.1 - frame.place.1);
            Ok((other.image.bytes()?, shift))
        });
        let ImageShape { height, width, .. } = frame.image.shape();
        let others = others.collect::<Result<Vec<_>>>()?;
        Ok(residual(frame.image.bytes()?, (height, width), &others))
    }
}

/// Checks that as many frames as are held have room.
fn check_size(frame: &Image, reach: usize) -> Result<()> {
    let held = reach.saturating_mul(2).saturating_add(1);
    ensure!(
        frame.shape().values().saturating_mul(held) <= MOST_BYTES,
        "{held} frames of {} need more than {} GiB of memory at a time: make the frames smaller, or the \
         reach of {reach} shorter",
        frame.shape(),
        MOST_BYTES >> 30
    );
    Ok(())
}

/// The share of motion of each pixel: squared differences in deviations of what stands still, of the
/// mean of 3 × 3 pixels, brought to 0 to 1.
fn shares(residual: &Residual, width: usize) -> Vec<f32> {
    let Residual { differences, slopes, channels, .. } = residual;
    let plane = differences.len() / channels;
    let mut scores = vec![0.0f32; plane];
    let planes = differences.chunks_exact(plane).zip(slopes.chunks_exact(plane));
    for (differences, slopes) in planes {
        let noise = noise(differences);
        let least = noise * noise;
        for ((score, difference), slope) in scores.iter_mut().zip(differences).zip(slopes) {
            *score += difference * difference / (least + OFF * OFF * slope) / *channels as f32;
        }
    }
    let scores = Plane { width, height: plane / width, values: scores }.smoothed();
    scores.values.into_iter().map(|score| score / (score + EVEN)).collect()
}

/// The deviation of what stands still, in levels of 255: that of a normal distribution with the median
/// of the sizes of all differences, as most of a picture stands still.
fn noise(differences: &[f32]) -> f32 {
    let median = median_size(differences.iter().copied());
    median.map_or(LEAST_NOISE, |median| (1.4826 * median).max(LEAST_NOISE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::run::apply::film_pictures::evenly;

    /// A film of `count` frames of 16 × 24 pixels: columns of stripes seen by a camera that moves by
    /// `drift` pixels a frame, and a square of 4 × 4 that moves by 2.
    fn film(count: usize, drift: usize) -> Vec<Result<Image>> {
        let frame = |time: usize| {
            let level = |at: usize| {
                let (x, y) = (at % 24, at / 24);
                let is_square = (2 * time..2 * time + 4).contains(&x) && (6..10).contains(&y);
                let ground = 60 + (x + drift * time) * (x + drift * time) * 7 % 60 + y * y % 30;
                if is_square { 230 } else { ground as u8 }
            };
            Image::new(ImageShape::new(1, 16, 24), (0..16 * 24).map(level).collect::<Vec<_>>())
        };
        (0..count).map(frame).collect()
    }

    fn moving(differences: &Differences, film: Vec<Result<Image>>) -> Vec<Moving> {
        differences.of(film.into_iter()).map(Result::unwrap).collect()
    }

    #[test]
    fn a_square_moves_and_the_ground_does_not_though_the_camera_does() {
        for drift in [0, 1] {
            let moves = moving(&Differences::new(), film(10, drift));
            for (time, moving) in moves.iter().enumerate() {
                let shares = moving.motion.values();
                let at = |x: usize, y: usize| shares[y * 24 + x];
                assert!(at(2 * time + 1, 7) > 0.8, "drift {drift}, frame {time}");
                let ground: f32 = shares[12 * 24..15 * 24].iter().sum::<f32>() / 72.0;
                assert!(ground < 0.3, "drift {drift}, frame {time}: {ground}");
            }
        }
    }

    #[test]
    fn what_stands_still_behind_a_frame_lacks_what_moves() {
        let moves = moving(&Differences::new().with_camera(false), film(10, 0));
        let empty = film(1, 0).remove(0).unwrap();
        // The square has left its place in the last frame.
        assert_eq!(
            moves[9].still.bytes().unwrap()[7 * 24 + 1],
            moves[9].frame.bytes().unwrap()[7 * 24 + 1]
        );
        assert_eq!(empty.bytes().unwrap()[7 * 24 + 1], 230);
        assert!(moves[0].still.bytes().unwrap()[7 * 24 + 1] < 200);
    }

    #[test]
    fn a_long_film_is_answered_frame_by_frame_and_few_are_held() {
        let differences = Differences::new().with_reach(3).with_samples(4);
        let mut differing = differences.of(film(9, 0).into_iter());
        for time in 0..9 {
            let moving = differing.next().unwrap().unwrap();
            assert_eq!(moving.frame, film(time + 1, 0).pop().unwrap().unwrap());
            assert!(differing.held.len() <= 7, "{}", differing.held.len());
        }
        assert!(differing.next().is_none());
    }

    #[test]
    fn one_frame_other_sizes_too_large_ones_and_faults_are_named_and_end_it() {
        let message = |film: Vec<Result<Image>>| {
            let mut differing = Differences::new().of(film.into_iter());
            let fault = differing.find_map(Result::err).expect("a fault").to_string();
            assert!(differing.next().is_none());
            fault
        };
        assert!(message(film(1, 0)).contains("a film of at least two"));
        let other = Image::new(ImageShape::new(1, 8, 24), vec![0_u8; 192]);
        let message_of_other = message(film(2, 0).into_iter().chain([other]).collect());
        assert!(message_of_other.contains("1×8×24 after 1×16×24"), "{message_of_other}");
        let broken = Err(Error::data("film/3.png", "is cut"));
        assert_eq!(message(film(2, 0).into_iter().chain([broken]).collect()), "film/3.png: is cut");
        let mut large = Differences::new().with_reach(1 << 26).of(film(2, 0).into_iter());
        assert!(large.next().unwrap().unwrap_err().to_string().contains("more than 4 GiB"));
        let mut none = Differences::new().with_samples(0).of(film(2, 0).into_iter());
        assert!(none.next().unwrap().unwrap_err().to_string().contains("at least 1 other"));
    }

    #[test]
    fn others_are_spread_evenly_from_the_first_to_the_last() {
        assert_eq!(evenly(3, 5).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly(9, 3).collect::<Vec<_>>(), [0, 4, 8]);
        assert_eq!(evenly(9, 1).collect::<Vec<_>>(), [4]);
        assert_eq!(evenly(0, 3).count(), 0);
    }
}
