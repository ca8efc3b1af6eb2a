//! Sparse masked modeling of convolutional networks (SparK, Tian et al. 2023, arXiv 2301.03580).

mod encoders;
#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
#[cfg(all(test, feature = "run"))]
mod tests;

use std::sync::Arc;

pub use encoders::SparkEncoderConfig;

use crate::config::config;
use crate::encoder::{ResNetConfig, ResidualConfig, ResidualNet};
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::head::{UNetDecoder, UNetDecoderConfig};
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::InitialWeights;
use crate::target::{Normalization, PixelTarget};
use crate::task::Mim;

/// SparK: a convolutional network sees the visible patches alone, and a decoder predicts the pixels of
/// the hidden ones from the features of all of its stages.
pub type Spark<E = ResidualNet> = Mim<E, UNetDecoder, PixelTarget>;

config! {
    /// The parts of a [`Spark`].
    #[derive(Debug, PartialEq)]
    pub struct SparkConfig<C = ResidualConfig> {
        /// The images.
        pub image: ImageShape,
        /// The encoder.
        pub encoder: C,
        /// Side of a patch in pixels: what is hidden as a whole, and what the target normalizes. A
        /// multiple of the side of a cell of the last stage. Default: 32 (§4.1)
        pub patch: usize = 32,
        /// The decoder. Default: 512 features at the coarsest stage (official code)
        pub decoder: UNetDecoderConfig = UNetDecoderConfig::new(),
        /// What is hidden. Default: 60 % of the patches, at random (§4.1)
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.6 },
        /// Whether each patch's pixels are normalized. Default: true (§3.3)
        pub normalized: bool = true,
    }
}

impl SparkConfig {
    /// A network for images of a few dozen pixels that a laptop's processor trains in minutes: three
    /// stages of two blocks, from 24 features on, and patches of a cell of the last stage.
    pub fn small_images(image: ImageShape) -> Self {
        let encoder =
            ResidualConfig::new(image.channels).with_widths(vec![24, 48, 96]).with_blocks(2);
        Self::new(image, encoder)
            .with_patch(4)
            .with_decoder(UNetDecoderConfig::new().with_width(96))
    }
}

impl SparkConfig<ResNetConfig> {
    /// The paper's patches of 32 pixels on ResNet-50 (§4.1).
    pub fn resnet50(image: ImageShape) -> Self {
        Self::on(ResNetConfig::resnet50(image.channels), image)
    }

    /// The same on another ResNet, with a decoder of 768 features (official code).
    fn on(encoder: ResNetConfig, image: ImageShape) -> Self {
        Self::new(image, encoder).with_decoder(UNetDecoderConfig::new().with_width(768))
    }
}

impl<C: SparkEncoderConfig> SparkConfig<C> {
    /// Side of a cell of the last stage in pixels.
    fn stride(&self) -> usize {
        self.encoder.cell() << self.encoder.widths().len().saturating_sub(1).min(limits::STAGES)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let Self { image, encoder, patch, decoder, .. } = self;
        limits::image(*image)?;
        encoder.validate()?;
        let (reads, has) = (encoder.channels(), image.channels);
        ensure!(reads == has, "the encoder reads images of {reads} channels, these have {has}");
        image.grid(*patch)?;
        let stride = self.stride();
        ensure!(
            patch.is_multiple_of(stride),
            "patches of {patch} pixels are no whole cells of the last stage, of {stride} pixels"
        );
        let widths = encoder.widths();
        decoder.validate(widths.len(), encoder.cell())?;
        for (stage, width) in widths.iter().enumerate() {
            let own = decoder.width >> (widths.len() - 1 - stage);
            limits::parameters(limits::product(&[9, *width, own]))?;
        }
        let values = limits::product(&[image.channels, *patch, *patch]);
        if self.normalized {
            Normalization::Cell.validate_for(values)?;
        }
        self.mask().map(|_| ())
    }

    /// The grid of patches.
    ///
    /// # Errors
    ///
    /// When they do not divide the image.
    pub fn grid(&self) -> Result<Grid> {
        self.image.grid(self.patch)
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.image, self.patch)
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`SparkConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Spark<C::Encoder> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let (channels, patch) = (self.image.channels, self.patch);
        let encoder = self.encoder.init(weights);
        let (widths, cell) = (self.encoder.widths(), self.encoder.cell());
        let head = self.decoder.init(&widths, cell, [channels, patch], weights);
        Mim { encoder, head, target: PixelTarget::mae(channels, patch, self.normalized) }
    }
}
