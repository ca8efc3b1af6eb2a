//! Convolutions before a transformer's tokens.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::Stack;
use super::conv_batch_norm::{ConvBatchNorm, Read};
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::nn::{InitialWeights, RunningNorm};

/// Side of every kernel.
const KERNEL: usize = 3;

config! {
    /// Sizes of a [`ConvStem`].
    #[derive(Debug, PartialEq)]
    pub struct ConvStemConfig {
        /// Features of the first convolution, which keeps the size of the images. Default: 16
        pub first: usize = 16,
        /// Features after each halving of rows and columns. Where the side of a patch cannot be halved so
        /// often, the first of these are left out.
        pub widths: Vec<usize>,
    }
}

/// Convolutions of 3 × 3 pixels that halve the images a few times before their patches become tokens, each
/// followed by a batch norm and a rectifier (Xiao et al. 2021, arXiv 2106.14881 §3). One keeps the size of the
/// images; then each of [`ConvStemConfig::widths`] has one of stride 2 and, except the last, another one. A patch
/// is made of whole positions of what comes out.
///
/// Whole images are read by the statistics that the norms remember, so features of an image are its own. Under
/// masks hidden pixels are zeros before every convolution, as for sparse convolutions, and the statistics are
/// those of the visible ones of the batch (Tian et al. 2023, arXiv 2301.03580 §3.1).
#[derive(Module, Debug)]
pub struct ConvStem {
    /// One after the other, with rectifiers between.
    pub convs: Vec<ConvBatchNorm>,
}

impl ConvStemConfig {
    /// The widths that patches of a side of `patch` pixels leave room for.
    fn halvings(&self, patch: usize) -> &[usize] {
        let most = (patch.trailing_zeros() as usize).min(self.widths.len());
        &self.widths[self.widths.len() - most..]
    }

    /// Values of what comes out that a patch of a side of `patch` pixels is made of.
    pub(super) fn values(&self, patch: usize) -> usize {
        let halvings = self.halvings(patch);
        let side = patch >> halvings.len();
        limits::product(&[*halvings.last().unwrap_or(&self.first), side, side])
    }

    /// Checks every rule the sizes must keep before patches of a side of `patch` pixels, of images of so many
    /// channels.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, channels: usize, patch: usize) -> Result<()> {
        limits::at_most("the halvings of a stem", self.widths.len(), limits::STAGES)?;
        for [from, to, _] in self.layers(channels, patch) {
            ensure!(to > 0, "a convolution of a stem needs features, got 0");
            limits::at_most("features of a stem", to, limits::WIDTH)?;
            limits::parameters(limits::product(&[from, to, KERNEL * KERNEL]))?;
        }
        Ok(())
    }

    /// What each convolution reads and makes, and its stride.
    fn layers(&self, channels: usize, patch: usize) -> Vec<[usize; 3]> {
        let mut layers = vec![[channels, self.first, 1]];
        let halvings = self.halvings(patch);
        for (index, &width) in halvings.iter().enumerate() {
            let [_, before, _] = layers[layers.len() - 1];
            layers.push([before, width, 2]);
            if index + 1 < halvings.len() {
                layers.push([width, width, 1]);
            }
        }
        layers
    }

    /// What a step keeps of an image of this size, as if it were tokens: the input and the output of each norm.
    pub(super) fn stack(&self, image: ImageShape, patch: usize) -> Stack {
        let mut pixels = image.height * image.width;
        let mut values = 0;
        for [_, width, stride] in self.layers(image.channels, patch) {
            pixels /= stride * stride;
            values += 2 * width * pixels;
        }
        Stack { tokens: 1, width: 0, mlp_width: values, blocks: 0 }
    }

    /// The stem with fresh weights.
    pub(super) fn init(
        &self,
        channels: usize,
        patch: usize,
        weights: &mut InitialWeights,
    ) -> ConvStem {
        let layers = self.layers(channels, patch).into_iter();
        let convs = layers
            .map(|[from, to, stride]| ConvBatchNorm::new([from, to], KERNEL, stride, weights));
        ConvStem { convs: convs.collect() }
    }
}

impl ConvStem {
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, features, height / 2ⁿ, width / 2ⁿ]` after n halvings
    pub(super) fn forward(&self, images: Tensor<4>, read: &mut Read) -> Tensor<4> {
        let images = read.only(images);
        let convs = self.convs.iter().enumerate();
        relu(convs.fold(images, |maps, (index, conv)| conv.forward(maps, index > 0, read)))
    }

    /// The stem with what becomes of its norms, in the order in which they are computed.
    pub(super) fn map_norms(self, moved: &mut dyn FnMut(RunningNorm) -> RunningNorm) -> Self {
        Self { convs: self.convs.into_iter().map(|layer| layer.map_norm(moved)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Backbone, Encoder, VitConfig};
    use crate::grid::Grid;
    use crate::mask::{Mask, UnitMask};
    use crate::nn::Init;
    use crate::test_device;
    use burn::tensor::Tolerance;

    /// Two halvings before patches of 8 pixels, so each patch is 2 × 2 positions of 6 features.
    fn config() -> VitConfig {
        let stem = ConvStemConfig::new(vec![5, 6]).with_first(3);
        VitConfig::new(ImageShape::new(2, 16, 24), 8, 8, 1, 2).with_stem(Some(stem))
    }

    fn images(seed: u64) -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(seed, &test_device()).param([2, 2, 16, 24], init).val()
    }

    fn mask(hidden: impl IntoIterator<Item = usize>) -> Mask {
        let mask = UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap();
        Mask::new([mask.clone(), mask], &test_device()).unwrap()
    }

    #[test]
    fn each_width_but_the_last_has_two_convolutions() {
        let layers = [[2, 3, 1], [3, 5, 2], [5, 5, 1], [5, 6, 2]];
        let config = config();
        let stem = config.stem.as_ref().unwrap();
        assert_eq!(stem.layers(2, 8), layers);
        assert_eq!((config.embedded_values(), config.patch_values()), (24, 128));
        let vit = config.init_visible(&mut InitialWeights::new(0, &test_device()));
        let features = vit.represent(images(1));
        assert_eq!((features.grid, features.tokens.dims()), (Grid::new(2, 3), [2, 6, 8]));
        assert_eq!(vit.describe(), "ViT 8×1, patch 8, convolutional stem");
        assert_eq!(vit.layer_of("body.stem.convs.3.conv.weight"), 0);
        // Twice 3 features of 16 × 24 pixels, twice 5 of a quarter of these, and 6 of a sixteenth.
        let kept = 2 * (3 * 384 + 2 * 5 * 96 + 6 * 24);
        assert_eq!(stem.stack(config.image, 8).activations(), kept);
    }

    #[test]
    fn patches_that_cannot_be_halved_so_often_go_without_the_first_widths() {
        let stem = ConvStemConfig::new(vec![4, 5, 6]).with_first(3);
        assert_eq!(stem.layers(1, 4), [[1, 3, 1], [3, 5, 2], [5, 5, 1], [5, 6, 2]]);
        assert_eq!(stem.layers(1, 6), [[1, 3, 1], [3, 6, 2]]);
        assert_eq!(stem.layers(1, 7), [[1, 3, 1]]);
        assert_eq!([4, 6, 7, 16].map(|patch| stem.values(patch)), [6, 6 * 9, 3 * 49, 6 * 4]);
        let image = ImageShape::square(1, 14);
        let config = VitConfig::new(image, 7, 8, 1, 2).with_stem(Some(stem));
        let vit = config.init_visible(&mut InitialWeights::new(0, &test_device()));
        let images = Tensor::ones([1, 1, 14, 14], &test_device());
        assert_eq!(vit.represent(images).tokens.dims(), [1, 4, 8]);
    }

    #[test]
    fn no_hidden_pixel_reaches_a_feature() {
        let hidden = mask([0, 4]).at(Grid::new(16, 24)).asked.map();
        let weights = &mut InitialWeights::new(0, &test_device());
        let (vit, visible) = (config().init(weights), config().init_visible(weights));
        let other = images(1) + hidden * 3.0;
        let tokens = |images: Tensor<4>| {
            let whole = vit.encode(images.clone(), &mask([0, 4])).tokens.into_data();
            (whole, visible.encode(images, &mask([0, 4])).tokens.into_data())
        };
        assert_eq!(tokens(images(1)), tokens(other));
        assert_ne!(tokens(images(1)), tokens(images(2)));
    }

    #[test]
    fn norms_that_followed_one_batch_for_long_read_it_as_it_was_encoded() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let mut vit = config().init_visible(weights);
        let (encoded, seen) = vit.encode_seen(images(1), &mask([]));
        assert_eq!(seen.0.len(), 4);
        assert_ne!(vit.represent(images(1)).tokens.into_data(), encoded.tokens.to_data());
        for _ in 0..200 {
            vit = vit.follow(seen.clone());
        }
        let read = vit.represent(images(1)).tokens.into_data();
        // Variances are remembered unbiased: of 2 · 4 · 6 numbers at the last norm.
        read.assert_approx_eq::<f32>(&encoded.tokens.into_data(), Tolerance::absolute(0.05));
    }

    #[test]
    fn an_encoder_without_a_stem_saw_nothing_and_follows_it() {
        let plain =
            config().with_stem(None).init_visible(&mut InitialWeights::new(0, &test_device()));
        let (_, seen) = plain.encode_seen(images(1), &mask([]));
        assert!(seen.0.is_empty());
        let before = plain.represent(images(1)).tokens.into_data();
        plain.follow(seen).represent(images(1)).tokens.into_data().assert_eq(&before, true);
    }

    #[test]
    #[should_panic(expected = "more norms have seen a batch than there are")]
    fn an_encoder_without_a_stem_refuses_what_norms_saw() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let seen = config().init_visible(weights).encode_seen(images(1), &mask([])).1;
        config().with_stem(None).init_visible(weights).follow(seen);
    }

    #[test]
    fn a_stem_that_does_not_fit_is_refused_with_its_numbers() {
        let refused = |stem: ConvStemConfig| {
            config().with_stem(Some(stem)).validate().unwrap_err().to_string()
        };
        let message = refused(ConvStemConfig::new(vec![4, 0]));
        assert!(message.contains("a convolution of a stem needs features, got 0"), "{message}");
        let message = refused(ConvStemConfig::new(vec![4; 99]));
        assert!(message.contains("the halvings of a stem"), "{message}");
    }
}
