//! Prediction heads, which predict hidden patches from an encoder's features.

mod any;
mod clip_decoder;
mod conv;
mod cross;
mod decoder;
mod linear;
mod predictor;
mod prompt;
mod unet;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{FloatDType, Tensor};

pub use any::AnyDecoder;
pub use clip_decoder::ClipDecoderConfig;
pub use conv::{ConvDecoder, ConvDecoderConfig};
pub use cross::CrossDecoder;
pub use decoder::{Decoder, DecoderAttention, DecoderConfig};
pub use linear::LinearHead;
pub use predictor::Predictor;
pub use prompt::PromptDecoder;
pub use unet::{Densify, UNetBlock, UNetDecoder, UNetDecoderConfig};

use crate::mask::Mask;

/// Predicts the asked cells from features of type `F`: what is hidden, unless
/// [`Mask::with_asked`](crate::Mask::with_asked) says otherwise.
///
/// `F` is an encoder's [`Features`](crate::Encoder::Features), so a head that needs the whole grid
/// cannot be put on an encoder that only computes visible cells: it does not compile.
///
/// ```
/// use burn_mim::{Decoder, LinearHead, Mim, PixelTarget, PretextTask, VisibleVit, Vit};
///
/// fn is_a_task<T: PretextTask>() {}
/// is_a_task::<Mim<Vit, LinearHead, PixelTarget>>(); // SimMIM
/// is_a_task::<Mim<VisibleVit, Decoder, PixelTarget>>(); // MAE
/// ```
///
/// ```compile_fail,E0277
/// # use burn_mim::{Decoder, LinearHead, Mim, PixelTarget, PretextTask, VisibleVit, Vit};
/// # fn is_a_task<T: PretextTask>() {}
/// is_a_task::<Mim<VisibleVit, LinearHead, PixelTarget>>();
/// ```
///
/// Swin computes every cell, so MAE's decoder of visible cells is not for it.
///
/// ```
/// # use burn_mim::{Decoder, LinearHead, Mim, PixelTarget, PretextTask, Swin, SwinV2};
/// # fn is_a_task<T: PretextTask>() {}
/// is_a_task::<Mim<Swin, LinearHead, PixelTarget>>();
/// is_a_task::<Mim<SwinV2, LinearHead, PixelTarget>>();
/// ```
///
/// ```compile_fail,E0277
/// # use burn_mim::{Decoder, LinearHead, Mim, PixelTarget, PretextTask, Swin, SwinV2};
/// # fn is_a_task<T: PretextTask>() {}
/// is_a_task::<Mim<Swin, Decoder, PixelTarget>>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not read `{F}`: this head does not go with what the encoder computes",
    label = "this head does not read what this encoder computes",
    note = "encoders that drop hidden patches (features `VisibleTokens`) need `Decoder`; those that \
            replace them (`GridTokens`) take `LinearHead`"
)]
pub trait PredictionHead<F>: Module + ModuleDisplay {
    /// The type of the prediction: `Tensor<3>`, `[batch, asked, target width]`, unless the head
    /// predicts more than once.
    type Prediction: Prediction;

    /// One prediction for each asked cell, in ascending order; nothing for the others.
    fn predict(&self, features: F, mask: &Mask) -> Self::Prediction;
}

/// The prediction of a head, which a target judges: `[batch, asked, width]`, or two of these.
pub trait Prediction: Clone {
    /// Numbers for each asked cell.
    fn width(&self) -> usize;

    /// The same in another type: what is computed in half precision is judged in single precision.
    fn cast(self, dtype: FloatDType) -> Self;
}

impl Prediction for Tensor<3> {
    fn width(&self) -> usize {
        self.dims()[2]
    }

    fn cast(self, dtype: FloatDType) -> Self {
        self.cast(dtype)
    }
}

impl<P: Prediction> Prediction for [P; 2] {
    fn width(&self) -> usize {
        self[0].width()
    }

    fn cast(self, dtype: FloatDType) -> Self {
        self.map(|prediction| prediction.cast(dtype))
    }
}
