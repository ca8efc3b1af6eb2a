//! What moves in a film.

mod background;
mod by;
mod camera;
mod cells;
mod differences;
mod files;
mod model;
mod modelled;
mod plane;
mod shift;

pub use by::MotionBy;
pub(super) use camera::Camera;
pub use differences::{Differences, Differing};
pub use files::MotionFiles;
pub use model::MotionModel;
pub use modelled::Modelled;
pub(super) use shift::Shift;

use crate::data::Image;

/// A frame of a film, and what moves in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Moving {
    /// The frame, in 8 bits.
    pub frame: Image,
    /// What of it stands still, as other frames show it: nothing but the camera moves in these.
    pub still: Image,
    /// Each pixel's share of motion, from 0 (stands still) to 1 (moves): one channel of floating-point
    /// numbers.
    pub motion: Image,
}
