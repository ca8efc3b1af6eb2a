//! Images as tensors: cut into patches and back, normalised and back.

mod nearest;
mod normalize;
mod patchify;

pub(crate) use nearest::nearest;
pub use normalize::{denormalize, normalize};
pub(crate) use patchify::grid_of;
pub use patchify::{PatchLayout, patchify, unpatchify};
