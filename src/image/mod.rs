//! Images and clips as tensors: patches, normalization, gradients, frequencies, and the similarity of two images.

mod clip;
mod gradient;
mod low_pass;
mod nearest;
mod normalize;
mod patchify;
mod quality;
mod statistics;

pub(crate) use clip::clip_grid_of;
pub use clip::{patchify_clip, stack_frames, unpatchify_clip, unstack_frames};
pub(crate) use gradient::magnitude;
pub use gradient::{GradientOperator, sobel};
pub use low_pass::low_pass;
pub(crate) use nearest::nearest;
pub use normalize::{denormalize, normalize};
pub(crate) use patchify::grid_of;
pub use patchify::{PatchLayout, patchify, unpatchify};
pub use quality::{SSIM_WINDOW, psnr, ssim};
pub use statistics::ChannelStatistics;
