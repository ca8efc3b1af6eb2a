//! Swin-v2 (Liu et al. 2021, arXiv 2111.09883): Swin made to scale in size and resolution.
//!
//! The paper trains its largest models on 1536 × 1536 pixels by computing activations twice. So does
//! every block here ([`checkpointed`](crate::nn::checkpointed)) on a device with gradient
//! checkpointing:
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::Device;
//! use burn_mim::nn::InitialWeights;
//! use burn_mim::{ImageShape, MaskConfig, SimMimConfig, SwinV2Config};
//!
//! let device = Device::flex().autodiff().gradient_checkpointing();
//! let encoder = SwinV2Config::small_images(ImageShape::square(3, 32));
//! let mask = MaskConfig::Simmim { unit: 8, ratio: 0.6 };
//! let simmim = SimMimConfig::new(encoder).with_mask(mask).init(&mut InitialWeights::new(0, &device));
//! # use burn::tensor::Tensor;
//! # use burn_mim::rng::{Purpose, stream};
//! # use burn_mim::{Mask, MaskStrategy, MimBatch, PretextTask, RandomMask};
//! # let masks = RandomMask::simmim(ImageShape::square(3, 32), 8, 0.6).unwrap();
//! # let mask = masks.sample(&mut stream(0, Purpose::Mask, 0, 0));
//! # let images = Tensor::ones([1, 3, 32, 32], &Device::flex());
//! # let batch = MimBatch::new(images, Mask::new([mask], &Device::flex()).unwrap());
//! # let gradients = simmim.loss(batch).loss.backward();
//! # assert!(simmim.encoder.mask_token.grad(&gradients).is_some());
//! # }
//! ```

mod block;
mod config;

pub use block::SwinV2Block;
pub use config::SwinV2Config;

use super::swin::{StageParts, StageWindow, SwinTransformer};
use crate::nn::InitialWeights;

/// Swin-v2 with a mask token.
pub type SwinV2 = SwinTransformer<SwinV2Block>;

impl SwinV2Config {
    /// An encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`SwinV2Config::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> SwinV2 {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        SwinTransformer::new(&self.sizes, weights, |stage, weights| {
            let (window, shift) = self.window(stage);
            StageParts {
                window: StageWindow::fixed(window, shift),
                blocks: (0..self.sizes.depths[stage])
                    .map(|block| SwinV2Block::new(self, stage, block, weights))
                    .collect(),
                norm_last: true,
            }
        })
    }
}
