//! An encoder and a head, without what the head's predictions are compared with.

use burn::module::Module;

use super::Mim;
use crate::encoder::Encoder;
use crate::head::PredictionHead;
use crate::mask::Mask;

/// An encoder and a head: a [`Mim`] without its target. Published weights of methods whose target is
/// a network of its own, such as BEiT's tokenizer, hold this much.
#[derive(Module, Debug)]
pub struct Network<E: Module, H: Module> {
    /// What is kept after pre-training.
    pub encoder: E,
    /// Predicts the hidden cells.
    pub head: H,
}

impl<E: Module, H: Module> Network<E, H> {
    /// The task of predicting `target`.
    pub fn with_target<T: Module>(self, target: T) -> Mim<E, H, T> {
        Mim { encoder: self.encoder, head: self.head, target }
    }
}

impl<E: Encoder, H: PredictionHead<E::Features>> Network<E, H> {
    /// What the head predicts of each hidden cell, such as the logits of its tokens.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    ///
    /// # Panics
    ///
    /// When the images do not divide into the encoder's patches, or the mask does not fit them.
    pub fn predict(&self, images: E::Images, mask: &Mask) -> H::Prediction {
        self.head.predict(self.encoder.encode(images, mask), mask)
    }
}
