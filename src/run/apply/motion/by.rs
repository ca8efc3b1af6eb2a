//! Motion by either way, and how well it is told.

use burn::data::dataset::Dataset;

use super::{Differences, MotionModel, Moving};
use crate::data::Image;
use crate::data::source::MovingShapes;
use crate::error::{Error, Result};
use crate::eval::area_under_roc;

/// How motion is told.
#[derive(Debug)]
pub enum MotionBy {
    /// Without a model.
    Differences(Differences),
    /// With an encoder of clips.
    Model(Box<MotionModel>),
}

impl MotionBy {
    /// What moves in each of `frames`, in their order.
    pub fn of<'a>(
        &'a self,
        frames: impl Iterator<Item = Result<Image>> + 'a,
    ) -> Box<dyn Iterator<Item = Result<Moving>> + 'a> {
        match self {
            Self::Differences(differences) => Box::new(differences.of(frames)),
            Self::Model(model) => Box::new(model.of(frames)),
        }
    }

    /// The area under the ROC curve of the shares of motion of all pixels of all frames of `clips`, whose
    /// true motion is known; `after` is called with the number of clips so far.
    ///
    /// # Errors
    ///
    /// When a clip cannot be made or looked at, or nothing in them moves.
    pub fn area_under_roc(
        &self,
        clips: &MovingShapes,
        after: &mut dyn FnMut(usize),
    ) -> Result<f64> {
        let (mut shares, mut moves) = (Vec::new(), Vec::new());
        for index in 0..clips.len() {
            let name = || format!("clip {index}");
            let clip = clips.get(index).map_err(|error| Error::data(name(), error))?.image;
            for moving in self.of((0..clip.frames()).map(|frame| Ok(clip.frame(frame)))) {
                shares.extend(moving?.motion.values());
            }
            moves.extend(clips.motion(index)?);
            after(index + 1);
        }
        area_under_roc(&shares, &moves)
            .ok_or_else(|| Error::config("in these clips nothing moves, or everything does"))
    }
}
