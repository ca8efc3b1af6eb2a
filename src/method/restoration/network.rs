//! The encoder of image restoration: one transformer behind a light head per corruption.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use crate::encoder::{Backbone, GridTokens, VitBody, VitConfig, check_channels};
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;
use crate::nn::{Init, InitialWeights, convolve, convolve_rectified};

/// Side of every convolution's kernel.
const KERNEL: usize = 3;

/// A few convolutions for each corruption, then a transformer that all of them share and that is
/// told which one it reads (arXiv 2012.00364 §3.1).
#[derive(Module, Debug)]
pub struct RestorationEncoder {
    /// For each corruption, images as maps of features of the same size.
    pub heads: Vec<RestorationHead>,
    /// For each corruption, what is added to every token, `[corruptions, width]`.
    pub task_token: Param<Tensor<2>>,
    /// The transformer, on patches of feature maps.
    pub body: VitBody,
}

/// Sizes of a [`RestorationEncoder`].
#[derive(Debug, Clone, PartialEq)]
pub struct RestorationEncoderConfig {
    /// Images and sizes of the transformer.
    pub transformer: VitConfig,
    /// Maps a head makes of an image.
    pub features: usize,
    /// Kinds of corruption, each with a head.
    pub corruptions: usize,
}

/// A convolution and a residual pair of them.
#[derive(Module, Debug)]
pub struct RestorationHead {
    /// Channels → features.
    pub embed: Conv2d,
    /// Features → features.
    pub refine: ConvPair,
}

/// Two convolutions with a rectifier between; its outputs start at 0.
#[derive(Module, Debug)]
pub struct ConvPair {
    /// Keeps the number of channels.
    pub first: Conv2d,
    /// Inputs → outputs.
    pub second: Conv2d,
}

impl ConvPair {
    /// A pair from `inputs` to `outputs` channels.
    pub(super) fn new([inputs, outputs]: [usize; 2], weights: &mut InitialWeights) -> Self {
        Self {
            first: conv([inputs, inputs], weights),
            second: weights.conv2d([inputs, outputs], KERNEL, Init::Constant(0.0)),
        }
    }

    /// # Shapes
    ///
    /// - images: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height, width]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        convolve_rectified(&self.second, convolve(&self.first, images))
    }
}

/// A convolution whose outputs vary as its inputs do.
fn conv([inputs, outputs]: [usize; 2], weights: &mut InitialWeights) -> Conv2d {
    let init = Init::of_fan_in(inputs * KERNEL * KERNEL, 1.0);
    weights.conv2d([inputs, outputs], KERNEL, init)
}

impl RestorationEncoderConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.transformer.validate()?;
        self.transformer.check_without_stem("restoration")?;
        let Self { features, corruptions, .. } = *self;
        ensure!(
            corruptions > 0 && features > 0,
            "restoration needs a corruption and a feature map, got {corruptions} and {features}"
        );
        limits::at_most("features", features, limits::CHANNELS)?;
        limits::at_most("corruptions", corruptions, limits::CHANNELS)?;
        limits::parameters(limits::product(&[corruptions, features, features, 18]))?;
        self.body().validate()
    }

    /// The encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`RestorationEncoderConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> RestorationEncoder {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let Self { transformer, features, corruptions } = self;
        let heads = (0..*corruptions).map(|_| RestorationHead {
            embed: conv([transformer.image.channels, *features], weights),
            refine: ConvPair::new([*features, *features], weights),
        });
        RestorationEncoder {
            heads: heads.collect(),
            task_token: weights
                .param([*corruptions, transformer.width], Init::Normal { std: 0.02 }),
            body: VitBody::new(&self.body(), weights),
        }
    }

    /// The transformer on feature maps.
    fn body(&self) -> VitConfig {
        let maps = ImageShape { channels: self.features, ..self.transformer.image };
        VitConfig { image: maps, ..self.transformer.clone() }
    }
}

impl RestorationEncoder {
    /// The head's maps, `[batch, features, height, width]`, and the transformer's tokens, of images
    /// with corruption number `corruption`.
    ///
    /// # Panics
    ///
    /// When there is no such corruption, or the images do not divide into patches.
    pub fn encode_corrupted(
        &self,
        images: Tensor<4>,
        corruption: usize,
    ) -> (Tensor<4>, GridTokens) {
        let (maps, grid, tokens) = self.embed(images, corruption);
        let (tokens, class_token) = self.body.transform(tokens, grid);
        (maps, GridTokens { tokens, class_token, grid })
    }

    /// The head's maps, and their patches as tokens that know the corruption.
    fn embed(&self, images: Tensor<4>, corruption: usize) -> (Tensor<4>, Grid, Tensor<3>) {
        let head = &self.heads[corruption];
        check_channels(&images, head.embed.weight.dims()[1]);
        let maps = convolve(&head.embed, images);
        let maps = maps.clone() + head.refine.forward(maps);
        let (grid, patches) = self.body.patches(maps.clone());
        let tokens = self.body.with_positions(self.body.embed(patches), grid);
        let task = self.task_token.val().narrow(0, corruption, 1);
        (maps, grid, tokens + task.unsqueeze())
    }
}

impl Backbone for RestorationEncoder {
    /// Reads images through the head of the first corruption, which in the paper's list is the
    /// lightest noise.
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.encode_corrupted(images, 0).1
    }

    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (_, grid, tokens) = self.embed(images, 0);
        self.body.layers_of(tokens, grid, layers)
    }

    fn width(&self) -> usize {
        self.body.config().width
    }

    fn describe(&self) -> String {
        let VitConfig { width, depth, patch, .. } = self.body.config();
        format!("transformer {width}×{depth}, patch {patch}")
    }

    fn layers(&self) -> usize {
        self.body.config().depth
    }

    fn layer_of(&self, parameter: &str) -> usize {
        self.body.layer_of(parameter)
    }

    fn with_drop_path(self, probability: f64) -> Self {
        Self { body: self.body.with_drop_path(probability), ..self }
    }
}
