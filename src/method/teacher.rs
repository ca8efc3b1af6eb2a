//! The teacher of tasks that contrast a student's features with a moving average's.

use burn::module::Module;

use crate::encoder::Backbone;
use crate::nn::{Projection, follow};

/// A moving average of a student's encoder and projector, which no gradient reaches.
#[derive(Module, Debug)]
pub struct ContrastTeacher<E: Module> {
    /// Of the encoder.
    pub encoder: E,
    /// Of the projector.
    pub projector: Projection,
}

impl<E: Backbone> ContrastTeacher<E> {
    /// Both frozen. They must be modules of their own, not clones of the student's.
    pub(super) fn new(encoder: E, projector: Projection) -> Self {
        Self { encoder, projector }.valid().freeze()
    }

    /// The teacher after one more step of its student: it keeps the share `momentum` of itself.
    pub(super) fn follow(self, encoder: &E, projector: &Projection, momentum: f64) -> Self {
        let Self { encoder: old, projector: old_projector } = self;
        Self {
            encoder: follow(old, encoder, momentum),
            projector: follow(old_projector, projector, momentum),
        }
    }
}
