//! The sizes of a vision transformer of clips.

use super::super::{ConvStemConfig, Stack};
use super::ClipVit;
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::{ClipGrid, ClipShape, ImageShape};
use crate::limits;
use crate::nn::{Init, InitialWeights, MlpActivation, PositionTable, QkvBias, TransformerConfig};

config! {
    /// A vision transformer of clips (VideoMAE, arXiv 2203.12602 §3.3): all tubelets of a clip look at
    /// each other ("joint space-time attention").
    #[derive(Debug, PartialEq)]
    pub struct ClipVitConfig {
        /// The clips it reads.
        pub clip: ClipShape,
        /// Frames of a tubelet.
        pub tubelet: usize,
        /// Side of a tubelet in pixels.
        pub patch: usize,
        /// Features per token.
        pub width: usize,
        /// Blocks.
        pub depth: usize,
        /// Attention heads.
        pub heads: usize,
        /// Width of the MLP between its layers, over `width`. Default: 4
        pub mlp_ratio: f64 = 4.0,
        /// What comes between the layers of an MLP. Default: the exact GELU
        pub activation: MlpActivation = MlpActivation::Gelu,
        /// Epsilon of every layer norm. Default: 1e-6
        pub norm_epsilon: f64 = 1e-6,
        /// Which of query, key and value have a bias. Default: query and value
        pub qkv_bias: QkvBias = QkvBias::QueryValue,
        /// Whether a norm follows the last block. Default: yes; VideoMAE's fine-tuned encoders have
        /// none, but one after the mean of all tokens
        pub final_norm: bool = true,
        /// Drop-path probability of the last block, growing linearly from 0 at the first. Default: 0
        pub drop_path: f64 = 0.0,
        /// How many frames of a source apart the frames of a clip are. Default: 1
        pub stride: usize = 1,
        /// Convolutions that read the frames of each step of time first, all of them as the channels of one
        /// image, if any: ours, for short runs. Default: none
        pub stem: Option<ConvStemConfig> = None,
    }
}

/// 16 frames of 224 × 224 RGB, the paper's input.
const KINETICS: ClipShape = ClipShape::new(ImageShape::square(3, 224), 16);

impl ClipVitConfig {
    /// ViT-S/16 on tubelets of two frames: 384 features, 12 blocks, 6 heads.
    pub fn small_patch16() -> Self {
        Self::new(KINETICS, 2, 16, 384, 12, 6)
    }

    /// ViT-B/16 on tubelets of two frames: 768 features, 12 blocks, 12 heads.
    pub fn base_patch16() -> Self {
        Self::new(KINETICS, 2, 16, 768, 12, 12)
    }

    /// ViT-L/16 on tubelets of two frames: 1024 features, 24 blocks, 16 heads.
    pub fn large_patch16() -> Self {
        Self::new(KINETICS, 2, 16, 1024, 24, 16)
    }

    /// An encoder for clips of a few dozen pixels that a laptop's processor trains in minutes: tubelets
    /// of two frames and 8 × 8 pixels, or 4 × 4 where 8 do not divide the frames, convolutions that halve
    /// these to one position, 96 features, 1 block, 4 heads.
    pub fn small_clips(clip: ClipShape) -> Self {
        let patch = if clip.image.grid(8).is_ok() { 8 } else { 4 };
        let stem = ConvStemConfig::new(vec![24, 48, 96]).with_first(16);
        Self::new(clip, 2, patch, 96, 1, 4).with_stem(Some(stem))
    }

    /// The clips as data sets have them: their frames one below the other.
    pub fn image(&self) -> ImageShape {
        ImageShape { stride: self.stride, ..self.clip.stacked() }
    }

    /// The grid of tubelets.
    ///
    /// # Panics
    ///
    /// When the tubelets do not tile the clip; [`ClipVitConfig::validate`] says so as an error.
    pub fn grid(&self) -> ClipGrid {
        self.clip.grid(self.tubelet, self.patch).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        limits::image(self.clip.image)?;
        ensure!(
            self.clip.image.frames == 1,
            "the frames of a clip are images, got {}",
            self.clip.image
        );
        limits::counts("stride", self.stride, limits::TOKENS)?;
        let (frames, values) = (self.clip.frames, self.clip.image.values());
        limits::at_most("the frames of a clip", frames, limits::TOKENS)?;
        let all = limits::product(&[frames, values]);
        limits::at_most("the values of a clip", all, limits::IMAGE_VALUES)?;
        let tokens = self.clip.grid(self.tubelet, self.patch)?.cells();
        let width = self.width;
        ensure!(
            self.mlp_width() > 0,
            "an mlp_ratio of {:?} leaves no MLP for a width of {width}",
            self.mlp_ratio
        );
        if let Some(stem) = &self.stem {
            stem.validate(limits::product(&[self.clip.image.channels, self.tubelet]), self.patch)?;
        }
        self.transformer().validate()?;
        limits::at_most("the number of tubelets", tokens, limits::TOKENS)?;
        limits::parameters(limits::product(&[tokens, width]))?;
        limits::parameters(limits::product(&[self.embedded_values(), width]))
    }

    /// Values of one tubelet that become its token: its pixels, or what a stem makes of them.
    pub fn embedded_values(&self) -> usize {
        self.stem.as_ref().map_or(self.patch_values(), |stem| stem.values(self.patch))
    }

    /// What a step keeps of a convolutional stem, where there is one.
    pub fn stem_stack(&self) -> Option<Stack> {
        self.stem.as_ref().map(|stem| stem.stack(self.stem_image(), self.patch))
    }

    /// The steps of time of a clip as one image, their frames as its channels, which a stem reads.
    pub(super) fn stem_image(&self) -> ImageShape {
        let ImageShape { channels, height, width, .. } = self.clip.image;
        ImageShape::new(channels * self.tubelet, height * self.grid().times, width)
    }

    /// Features between the MLP's two layers.
    pub fn mlp_width(&self) -> usize {
        (self.width as f64 * self.mlp_ratio).round() as usize
    }

    /// Values in one tubelet of pixels.
    pub fn patch_values(&self) -> usize {
        limits::product(&[self.clip.image.channels, self.tubelet, self.patch, self.patch])
    }

    /// The configuration of the blocks.
    pub fn transformer(&self) -> TransformerConfig {
        TransformerConfig {
            mlp_width: self.mlp_width(),
            activation: self.activation,
            norm_epsilon: self.norm_epsilon,
            qkv_bias: self.qkv_bias,
            drop_path: self.drop_path,
            ..TransformerConfig::new(self.width, self.depth, self.heads)
        }
    }

    /// The encoder with fresh weights: Xavier-uniform matrices, as the official code's.
    ///
    /// # Panics
    ///
    /// With the message of [`ClipVitConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> ClipVit {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let stem = self.stem.as_ref();
        let stem = stem.map(|stem| stem.init(self.stem_image().channels, self.patch, weights));
        let patch_embed = weights.linear(self.embedded_values(), self.width, Init::XavierUniform);
        let positions = PositionTable::sequence(self.grid().flat(), self.width, weights);
        let mut transformer = self.transformer().init(weights);
        transformer.norm = transformer.norm.filter(|_| self.final_norm);
        ClipVit { stem, patch_embed, positions, transformer, config: self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    #[test]
    fn presets_are_valid_and_have_the_papers_grid() {
        for config in [
            ClipVitConfig::small_patch16(),
            ClipVitConfig::base_patch16(),
            ClipVitConfig::large_patch16(),
        ] {
            config.validate().unwrap();
            assert_eq!(config.grid(), ClipGrid::new(8, Grid::square(14)));
            assert_eq!((config.grid().cells(), config.width / config.heads), (1568, 64));
        }
        let small = ClipShape::new(ImageShape::new(1, 24, 40), 8);
        let small = ClipVitConfig::small_clips(small);
        small.validate().unwrap();
        assert_eq!(small.grid(), ClipGrid::new(4, Grid::new(3, 5)));
        let odd = ClipVitConfig::small_clips(ClipShape::new(ImageShape::new(1, 20, 40), 8));
        assert_eq!(odd.grid(), ClipGrid::new(4, Grid::new(5, 10)));
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let base = ClipVitConfig::base_patch16;
        let broken = |config: ClipVitConfig| config.validate().unwrap_err().to_string();
        let clip = |frames, side| ClipShape::new(ImageShape::square(3, side), frames);
        for (config, rule) in [
            (ClipVitConfig { tubelet: 3, ..base() }, "16 frames cannot be cut into tubelets of 3"),
            (ClipVitConfig { tubelet: 0, ..base() }, "tubelets of 0 frames"),
            (ClipVitConfig { clip: clip(0, 224), ..base() }, "a clip of 0 frames"),
            (ClipVitConfig { clip: clip(16, 225), ..base() }, "225×225 pixels cannot be cut"),
            (ClipVitConfig { patch: 0, ..base() }, "squares of 0 pixels"),
            (base().with_stride(0), "stride must be at least 1, got 0"),
            (ClipVitConfig { heads: 5, ..base() }, "5 heads do not divide a width of 768"),
            (ClipVitConfig { depth: 0, ..base() }, "at least one block"),
            (base().with_mlp_ratio(0.0), "leaves no MLP"),
            (base().with_stem(Some(ConvStemConfig::new(vec![0]))), "needs features, got 0"),
            (base().with_drop_path(1.0), "[0, 1), got 1"),
            (ClipVitConfig { clip: clip(1 << 20, 16), ..base() }, "the frames of a clip"),
            (ClipVitConfig { clip: clip(1 << 12, 1024), ..base() }, "the values of a clip"),
        ] {
            let message = broken(config);
            assert!(message.contains(rule), "{message}");
        }
    }
}
