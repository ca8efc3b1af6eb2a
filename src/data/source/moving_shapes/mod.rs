//! `moving-shapes`: clips that need no download, drawn when they are read.
//!
//! Clips of 16 frames of 32 × 32 RGB pixels. The largest of one to three forms moves in one of ten ways,
//! which is the class: left, right, up, down, turning or going round in a circle either way, growing and
//! shrinking, to and fro. The others pass it, before or behind it, in ways of their own; forms and strokes
//! that stand still lie on the ground; the camera drifts over all of it; there is noise. What leaves the
//! picture on one side comes in on the other.
//!
//! **No frame tells the class**: the first frame of a clip is the same, bit for bit, whatever the motion
//! is, and every other frame has the distribution of the first, because a place in a picture whose edges
//! meet, an angle and the phase of a swing are as likely after any motion as before. Only what changes
//! between frames tells.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::data::sample::{Image, ImageDataset, Sample};
use crate::data::source::shapes::canvas::SIDE;
use crate::data::{DataOptions, ImageData, LabelMap, Splits};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::rng::{Purpose, stream};

mod motion;
mod scene;

use motion::Motion;
use scene::Scene;

/// One split of the procedural clips; equal keys give equal clips, byte for byte.
///
/// The label of clip `index` is `index % 10`, so every class is equally frequent. Other frames, drift and
/// noise are set as fields:
///
/// ```
/// use burn_mim::data::source::MovingShapes;
///
/// let still = MovingShapes { drift: 0.0, noise: 0.0, ..MovingShapes::test() };
/// // What moves in the clip 7: a pixel after the other, row by row, frame by frame.
/// let moves = still.motion(7)?;
/// assert_eq!(moves.len(), 16 * 32 * 32);
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MovingShapes {
    /// The seed; another seed gives another data set of the same kind.
    pub seed: u64,
    /// The number of clips.
    pub len: usize,
    /// Splits share no clip: 0 is for training, 1 for testing, any number is allowed.
    pub split: u64,
    /// Frames of a clip.
    pub frames: usize,
    /// Pixels that the camera moves by in a frame, at most, along either axis; every clip has a speed of
    /// its own. Without it, the ground stands still and the forms move as they do with it.
    pub drift: f32,
    /// Levels of 255 that noise adds or takes away, at most; every clip has an amount of its own.
    pub noise: f32,
}

impl MovingShapes {
    /// Clips in the training split of [`MovingShapes::open`].
    pub const TRAIN: usize = 10_000;
    /// Clips in the test split of [`MovingShapes::open`].
    pub const TEST: usize = 2_000;
    /// The shape of every frame.
    pub const FRAME: ImageShape = ImageShape::square(3, SIDE);

    /// How many clips the normalization statistics are computed from.
    const STATISTICS: usize = 200;
    /// Pixels that the camera may go over a clip.
    const WAY: f32 = 512.0;

    /// The training split of [`MovingShapes::open`]: 10 000 clips of 16 frames, a camera that drifts by up
    /// to half a pixel a frame, and up to 6 levels of noise.
    pub const fn train() -> Self {
        Self { seed: 0, len: Self::TRAIN, split: 0, frames: 16, drift: 0.5, noise: 6.0 }
    }

    /// The test split of [`MovingShapes::open`]: 2000 clips.
    pub const fn test() -> Self {
        Self { len: Self::TEST, split: 1, ..Self::train() }
    }

    /// The standard data set: [`MovingShapes::train`] and [`MovingShapes::test`].
    ///
    /// # Errors
    ///
    /// When the statistics cannot be computed, which does not happen.
    pub fn open() -> Result<ImageData> {
        Self::splits(Self::train().frames).open(&DataOptions::default(), &mut |_| {})
    }

    /// The standard data set, in clips of so many frames.
    pub(crate) fn splits(frames: usize) -> Splits {
        let of_frames = |split| Arc::new(Self { frames, ..split });
        let (train, test) = (of_frames(Self::train()), of_frames(Self::test()));
        Splits { looked_at: Self::STATISTICS, ..Splits::new(train, test, Self::class_names()) }
    }

    /// The motions' names, by label.
    pub fn class_names() -> Vec<String> {
        Motion::ALL.iter().map(|motion| motion.name().to_owned()).collect()
    }

    /// Which pixels of clip `index` show a form that moves against the ground, which forms that only the
    /// camera moves do not: a pixel of which it covers at least half. Row by row, frame by frame
    /// (`[frames × height × width]`), as the clip's image has them.
    ///
    /// # Errors
    ///
    /// When there is no frame, or the drift is out of its range.
    ///
    /// # Panics
    ///
    /// When there are not so many clips.
    pub fn motion(&self, index: usize) -> Result<Vec<bool>> {
        Ok(self.motions(index)?.into_iter().map(|motion| motion.is_some()).collect())
    }

    /// How what each pixel shows moves.
    fn motions(&self, index: usize) -> Result<Vec<Option<Motion>>> {
        let mut motions = Vec::with_capacity(self.frames * SIDE * SIDE);
        let scene = self.scene(index, self.motion_of(index), &mut self.stream(index))?;
        scene.play(self.frames, |scene, _| motions.extend(scene.motions()));
        Ok(motions)
    }

    fn motion_of(&self, index: usize) -> Motion {
        Motion::ALL[index % Motion::ALL.len()]
    }

    fn stream(&self, index: usize) -> rand::rngs::ChaCha8Rng {
        stream(self.seed, Purpose::Data, self.split, index as u64)
    }

    fn scene(&self, index: usize, motion: Motion, rng: &mut dyn rand::Rng) -> Result<Scene> {
        assert!(index < self.len, "index {index} of {} clips", self.len);
        ensure!(self.frames > 0, "a clip has at least 1 frame, got 0");
        let way = self.drift * self.frames as f32;
        ensure!(
            (0.0..=Self::WAY).contains(&way),
            "the camera may drift by 0 to {} pixels over a clip, got {way}",
            Self::WAY
        );
        Ok(Scene::draw(motion, (self.frames, self.drift, self.noise), rng))
    }

    /// The clip whose main form moves by `motion`.
    fn clip(&self, index: usize, motion: Motion) -> Result<Image> {
        let mut rng = self.stream(index);
        let mut frames = Vec::with_capacity(self.frames);
        self.scene(index, motion, &mut rng)?.play(self.frames, |scene, time| {
            let pixels = scene.paint(time).develop(scene.noise, &mut rng);
            frames.push(Image::new(Self::FRAME, pixels));
        });
        Image::clip(&frames.into_iter().collect::<Result<Vec<_>>>()?)
    }
}

impl Dataset<Sample> for MovingShapes {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let motion = self.motion_of(index);
        let image = self.clip(index, motion).map_err(DatasetError::new)?;
        Ok(Sample { image, label: Some(motion as usize) })
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl ImageDataset for MovingShapes {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(Some(self.motion_of(index) as usize))
    }

    /// 0 for what stands still, and the number after its label for what shows a form that moves; the rows
    /// of all frames one below the other.
    fn label_map(&self, index: usize) -> Result<Option<LabelMap>> {
        let class = |motion: Option<Motion>| motion.map_or(0, |motion| motion as u8 + 1);
        let classes = self.motions(index)?.into_iter().map(class).collect();
        LabelMap::new(self.frames * SIDE, SIDE, classes).map(Some)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
