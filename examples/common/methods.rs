//! What may be changed of each method on its command line.
//!
//! (Structs have no doc comments: clap would take them for what a command does.)
#![allow(dead_code, reason = "each example uses its own part")]

use std::path::PathBuf;

use burn_mim::data::augment::{Augmentation, CropRange};
use burn_mim::method::tokenizer_config;
use burn_mim::target::tokenizer::VqConfig;
use burn_mim::{
    BeitConfig, BeitV2Config, EncoderConfig, Error, GradientTargetConfig, ImageShape, MaskConfig,
    Result, SimMimConfig, SwinConfig, SwinV2Config, TokenizerConfig, VitConfig,
};
use clap::{Args, ValueEnum};

use super::Command;
use super::knobs::{Masking, Patches, Sizes};

// Of a method without arguments of its own.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Nothing {}

// Of a method that hides patches.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct MaskedPatches {
    #[command(flatten)]
    pub(crate) patches: Patches,
    #[command(flatten)]
    pub(crate) masking: Masking,
}

// Of a method on a vision transformer that reads images with patches hidden.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct MaskedVit {
    #[command(flatten)]
    patches: Patches,
    #[command(flatten)]
    masking: Masking,
    #[command(flatten)]
    sizes: Sizes,
}

impl MaskedVit {
    /// `vit` of the sizes that were asked for.
    pub(crate) fn vit(&self, vit: VitConfig) -> Result<VitConfig> {
        Ok(self.sizes.vit(self.patches.vit(vit)?))
    }

    /// `mask` with the ratio that was asked for.
    pub(crate) fn mask(&self, mask: MaskConfig) -> Result<MaskConfig> {
        self.masking.of(mask)
    }
}

// Of restoration.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct RestoringVit {
    #[command(flatten)]
    patches: Patches,
    #[command(flatten)]
    sizes: Sizes,
    /// The weight of the paper's contrastive loss (there 0.1), without which small models do better
    #[arg(long, default_value_t = 0.0)]
    pub(crate) contrast: f64,
}

impl RestoringVit {
    /// `vit` of the sizes that were asked for.
    pub(crate) fn vit(&self, vit: VitConfig) -> Result<VitConfig> {
        Ok(self.sizes.vit(self.patches.vit(vit)?))
    }
}

// Of MaskFeat.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct GradientVit {
    #[command(flatten)]
    pub(crate) vit: MaskedVit,
    /// What is predicted of the hidden patches
    #[arg(long, value_enum, default_value = "hog")]
    target: TargetName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TargetName {
    Hog,
    Sobel,
}

impl GradientVit {
    /// The target that was asked for, of patches of `patch` pixels.
    pub(crate) fn target(&self, patch: usize) -> GradientTargetConfig {
        match self.target {
            TargetName::Sobel => GradientTargetConfig::Sobel,
            // The paper's cells at its patch of 16; a smaller patch is one cell.
            TargetName::Hog => {
                let cell = if patch.is_multiple_of(8) { 8 } else { patch };
                GradientTargetConfig::Hog { cell, window: Some(2 * cell) }
            }
        }
    }
}

// Of SimMIM.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct SimMimArgs {
    #[command(flatten)]
    patches: Patches,
    #[command(flatten)]
    masking: Masking,
    #[command(flatten)]
    sizes: Sizes,
    /// The network to pre-train
    #[arg(long, value_enum, default_value = "vit")]
    pub(crate) encoder: EncoderName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EncoderName {
    Vit,
    Swin,
    SwinV2,
}

impl SimMimArgs {
    pub(crate) fn vit(&self, image: ImageShape) -> Result<VitConfig> {
        let vit = SimMimConfig::small_images(image).encoder;
        Ok(self.sizes.vit(self.patches.vit(vit)?))
    }

    pub(crate) fn swin(&self, image: ImageShape) -> Result<SwinConfig> {
        self.sizes.swin(self.patches.swin(SwinConfig::small_images(image))?)
    }

    pub(crate) fn swin_v2(&self, image: ImageShape) -> Result<SwinV2Config> {
        let small = SwinV2Config::small_images(image);
        let sizes = self.sizes.swin(self.patches.swin(small.sizes)?)?;
        Ok(SwinV2Config { sizes, ..small })
    }

    /// SimMIM on `encoder`; hides squares of 8 pixels, or of two patches where these are larger.
    pub(crate) fn on<C: EncoderConfig>(&self, encoder: C) -> Result<SimMimConfig<C>> {
        let (image, stride) = (encoder.image(), encoder.stride());
        let unit = if image.grid(2 * stride).is_ok() { 2 * stride } else { stride };
        let unit = if 8 % stride == 0 && image.grid(8).is_ok() { 8 } else { unit };
        let mask = self.masking.of(MaskConfig::Simmim { unit, ratio: 0.6 })?;
        Ok(SimMimConfig::new(encoder).with_mask(mask))
    }
}

// Of BEiT.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct BeitArgs {
    #[command(flatten)]
    masking: Masking,
    #[command(flatten)]
    sizes: Sizes,
    /// A folder that `train_tokenizer` left [default: one is trained first]
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// BEiT v2: a condenser makes the class token know the image
    #[arg(long)]
    pub(crate) v2: bool,
}

impl BeitArgs {
    /// BEiT on the tokenizer that was asked for.
    pub(crate) fn beit(&self, command: &Command) -> Result<BeitConfig> {
        let small = BeitConfig::small_images(self.tokens(command)?);
        Ok(BeitConfig {
            encoder: self.sizes.vit(small.encoder),
            mask: self.masking.of(small.mask)?,
            tokenizer_folder: self.tokenizer.clone(),
            ..small
        })
    }

    /// The sizes of the tokenizer.
    fn tokens(&self, command: &Command) -> Result<TokenizerConfig> {
        let asked = command.image(32);
        let Some(folder) = &self.tokenizer else {
            super::tokenizer::check_size(asked)?;
            return Ok(TokenizerConfig::Vq(VqConfig::small_images(asked)));
        };
        let config = tokenizer_config(folder)?;
        let reads = config.image();
        if command.args.image_size.is_some() && reads != asked {
            return Err(Error::Config(format!(
                "the tokenizer in {} reads images of {reads}, --image-size asks for {asked}",
                folder.display()
            )));
        }
        Ok(config)
    }

    /// BEiT v2 of the sizes of `beit`.
    pub(crate) fn second(beit: BeitConfig) -> BeitV2Config {
        let second = BeitV2Config::small_images(beit.tokenizer.clone());
        BeitV2Config { beit, ..second }
    }

    /// The paper's augmentation with gentler crops.
    pub(crate) fn crops() -> Augmentation {
        let crop = Some(CropRange::new([0.2, 1.0]));
        Augmentation { crop, jitter: None, ..Augmentation::beit() }
    }
}
