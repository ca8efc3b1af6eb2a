//! The encoders that can be refined.

use burn::tensor::Tensor;

use crate::encoder::{
    Backbone, Encoder, EncoderConfig, RelativePositions, Swin, SwinConfig, SwinV2, SwinV2Config,
    VisibleTokens, VisibleVit, VitBody, VitConfig,
};
use crate::error::{Error, Result, ensure};
use crate::mask::Mask;
use crate::nn::InitialWeights;

/// The configuration of an encoder that can be refined.
pub trait RefinableConfig: EncoderConfig {
    /// The encoder, which needs no mask token.
    type Network: Refinable + Clone;

    /// The encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`EncoderConfig::validate`] when that fails.
    fn network(&self, weights: &mut InitialWeights) -> Self::Network;

    /// The number of its blocks.
    fn blocks(&self) -> usize;

    /// Whether it has a class token.
    fn has_class_token(&self) -> bool;

    /// Checks that it can read visible cells alone.
    ///
    /// # Errors
    ///
    /// When it cannot, with the reason.
    fn check_visible(&self) -> Result<()>;
}

/// An encoder that can be refined.
pub trait Refinable: Backbone {
    /// The features of the visible cells of images, which alone are read.
    ///
    /// # Panics
    ///
    /// When the encoder cannot read visible cells alone, or the mask does not fit the images.
    fn read_visible(&self, images: Tensor<4>, mask: &Mask) -> VisibleTokens;
}

impl RefinableConfig for VitConfig {
    type Network = VitBody;

    fn network(&self, weights: &mut InitialWeights) -> VitBody {
        VitBody::new(self, weights)
    }

    fn blocks(&self) -> usize {
        self.depth
    }

    fn has_class_token(&self) -> bool {
        self.class_token
    }

    fn check_visible(&self) -> Result<()> {
        ensure!(
            self.relative_positions == RelativePositions::None,
            "masked views need an encoder with absolute positions, not relative ones"
        );
        Ok(())
    }
}

impl Refinable for VitBody {
    fn read_visible(&self, images: Tensor<4>, mask: &Mask) -> VisibleTokens {
        VisibleVit::from(self.clone()).encode(images, mask)
    }
}

/// Swin reads whole windows, and its mask token, which nothing here uses, is not trained.
macro_rules! swin {
    ($($config:ident, $network:ident, $sizes:ident => $depths:expr;)*) => {
        $(
            impl RefinableConfig for $config {
                type Network = $network;

                fn network(&self, weights: &mut InitialWeights) -> $network {
                    let mut network = self.init(weights);
                    network.mask_token = network.mask_token.set_require_grad(false);
                    network
                }

                fn blocks(&self) -> usize {
                    let $sizes = self;
                    $depths.iter().sum()
                }

                fn has_class_token(&self) -> bool {
                    false
                }

                fn check_visible(&self) -> Result<()> {
                    Err(Error::config("masked views need a ViT: Swin reads whole windows"))
                }
            }

            impl Refinable for $network {
                fn read_visible(&self, _: Tensor<4>, _: &Mask) -> VisibleTokens {
                    panic!("masked views need a ViT: Swin reads whole windows")
                }
            }
        )*
    };
}

swin! {
    SwinConfig, Swin, sizes => sizes.depths;
    SwinV2Config, SwinV2, config => config.sizes.depths;
}
