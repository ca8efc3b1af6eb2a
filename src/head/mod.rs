//! Prediction heads: from an encoder's features to what was hidden.

mod decoder;
mod linear;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

pub use decoder::{Decoder, DecoderConfig};
pub use linear::LinearHead;

use crate::mask::Mask;

/// Predicts the hidden cells from features of type `F`.
///
/// `F` is an encoder's [`Features`](crate::Encoder::Features), so a head that needs the whole grid
/// cannot be put on an encoder that only computes visible cells: it does not compile.
pub trait PredictionHead<F>: Module + ModuleDisplay {
    /// One prediction for each hidden cell, in ascending order; nothing for visible ones.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, hidden, target width]`
    fn predict(&self, features: F, mask: &Mask) -> Tensor<3>;
}
