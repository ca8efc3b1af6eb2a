//! Colors as tokens.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use super::{KMeans, Tokenizer};
use crate::config::config;
use crate::error::{Error, Result};
use crate::grid::{Grid, ImageShape};
use crate::image::{PatchLayout, grid_of, nearest, patchify, unpatchify};
use crate::limits;
use crate::nn::{Init, InitialWeights};
use crate::rng::{Purpose, stream};

/// Rows that k-means looks at, at most.
const ROWS: usize = 32_768;

/// Rounds of k-means.
const ROUNDS: usize = 15;

config! {
    /// What a [`Palette`] is made of.
    #[derive(Debug, PartialEq, Eq)]
    pub struct PaletteConfig {
        /// The images it reads.
        pub image: ImageShape,
        /// Side in pixels of the square whose mean color is a token; 1 for single pixels. Default:
        /// 1
        pub patch: usize = 1,
        /// Colors. Default: 512, the 9 bits of Image GPT (Chen et al. 2020, §3.1)
        pub vocabulary: usize = 512,
    }
}

impl PaletteConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        super::check_tokens(self.image, self.patch)?;
        super::check_vocabulary(self.vocabulary)?;
        let values = limits::product(&[self.vocabulary, self.image.channels]);
        limits::at_most("the values of a palette", values, limits::IMAGE_VALUES)
    }

    /// A palette of random colors, to load a fitted one into.
    ///
    /// # Panics
    ///
    /// With the message of [`PaletteConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Palette {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let colors = weights.param([self.vocabulary, self.image.channels], Init::XavierUniform);
        Palette { colors: colors.set_require_grad(false), patch: self.patch }
    }

    /// The palette of `images`, by k-means over their cells' mean colors; on the images' device.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]` in [0, 1]
    ///
    /// # Errors
    ///
    /// When the sizes are broken, or the images have fewer different colors than the palette.
    pub fn fit(&self, images: Tensor<4>, seed: u64) -> Result<Palette> {
        self.validate()?;
        let (channels, device) = (self.image.channels, images.device());
        let colors: Vec<f32> = mean_colors(images, self.patch).into_data().iter().collect();
        let total = colors.len() / channels;
        let read = total.min(ROWS);
        let rows: Vec<f32> = (0..read)
            .flat_map(|nth| colors[nth * total / read * channels..][..channels].iter().copied())
            .collect();
        let k_means = KMeans { count: self.vocabulary, rounds: ROUNDS, spherical: false };
        let rng = &mut stream(seed, Purpose::Weights, 0, 0);
        let centers = k_means
            .fit(&rows, channels, rng)
            .map_err(|error| Error::config(format!("the images do not fill a palette: {error}")))?;
        let centers = TensorData::new(centers, [self.vocabulary, channels]);
        let colors = Param::from_tensor(Tensor::from_data(centers, &device));
        Ok(Palette { colors: colors.set_require_grad(false), patch: self.patch })
    }
}

/// The nearest of a few colors: a tokenizer that needs no training loop. With cells of one pixel it
/// is the input of Image GPT (Chen et al. 2020, §3.1).
#[derive(Module, Debug)]
pub struct Palette {
    /// `[vocabulary, channels]`, in [0, 1].
    pub colors: Param<Tensor<2>>,
    /// Side in pixels of the square whose mean color is a token.
    pub patch: usize,
}

impl Palette {
    /// The palette's colors of `ids`.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, count]`
    /// - output: `[batch, count, channels]`
    pub fn colors_of(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let ([batch, count], [_, channels]) = (ids.dims(), self.colors.dims());
        let ids = ids.reshape([batch * count]);
        self.colors.val().select(0, ids).reshape([batch, count, channels])
    }

    /// The id of the nearest color.
    ///
    /// # Shapes
    ///
    /// - colors: `[batch, count, channels]`
    /// - output: `[batch, count]`
    pub fn nearest(&self, colors: Tensor<3>) -> Tensor<2, Int> {
        let [batch, count, channels] = colors.dims();
        let colors = colors.reshape([batch * count, channels]);
        nearest(colors, self.colors.val()).reshape([batch, count])
    }
}

impl Tokenizer for Palette {
    fn vocabulary(&self) -> usize {
        self.colors.dims()[0]
    }

    fn patch(&self) -> usize {
        self.patch
    }

    fn tokenize(&self, images: Tensor<4>) -> Tensor<2, Int> {
        self.nearest(mean_colors(images, self.patch))
    }

    fn decode(&self, ids: Tensor<2, Int>, grid: Grid) -> Option<Tensor<4>> {
        let ([batch, count], [_, channels]) = (ids.dims(), self.colors.dims());
        let area = self.patch * self.patch;
        let pixels = self.colors_of(ids).unsqueeze_dim::<4>(3);
        let pixels = pixels.expand([batch, count, channels, area]);
        let cells = pixels.reshape([batch, count, channels * area]);
        Some(unpatchify(cells, grid, self.patch, PatchLayout::ChannelsFirst))
    }
}

/// `[batch, cells, channels]`.
fn mean_colors(images: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, channels, ..] = images.dims();
    let cells = grid_of(&images, patch).cells();
    let pixels = patchify(images, patch, PatchLayout::ChannelsFirst);
    pixels.reshape([batch, cells, channels, patch * patch]).mean_dim(3).squeeze_dim(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    /// One image of 2 × 4 pixels and two channels: its cells of 2 have the means (0, 1), (0.5, 0).
    fn images() -> Tensor<4> {
        Tensor::from_floats(
            [[
                [[0.0, 0.0, 0.4, 0.6], [0.0, 0.0, 0.5, 0.5]],
                [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]],
            ]],
            &test_device(),
        )
    }

    fn palette(patch: usize) -> Palette {
        let colors = Tensor::from_floats([[0.5, 0.1], [0.1, 0.9], [0.9, 0.9]], &test_device());
        Palette { colors: Param::from_tensor(colors), patch }
    }

    #[test]
    fn a_cell_is_the_color_nearest_to_its_mean() {
        let ids = palette(2).tokenize(images());
        assert_eq!(ids.into_data().try_into_vec_as::<i64>().unwrap(), [1, 0]);
        let ids = palette(1).tokenize(images());
        let ids = ids.into_data().try_into_vec_as::<i64>().unwrap();
        assert_eq!(ids, [1, 1, 0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn decoding_fills_each_cell_with_its_color() {
        let ids = palette(2).tokenize(images());
        let decoded = palette(2).decode(ids, Grid::new(1, 2)).unwrap();
        let decoded: Vec<f32> = decoded.into_data().try_to_vec().unwrap();
        let red = [0.1, 0.1, 0.5, 0.5].repeat(2);
        let green = [0.9, 0.9, 0.1, 0.1].repeat(2);
        assert_eq!(decoded, [red, green].concat());
    }

    #[test]
    fn a_fitted_palette_holds_the_images_own_colors() {
        let config = PaletteConfig::new(ImageShape::new(2, 2, 4)).with_patch(2).with_vocabulary(2);
        let palette = config.fit(images(), 0).unwrap();
        let decoded = palette.decode(palette.tokenize(images()), Grid::new(1, 2)).unwrap();
        let means: Vec<f32> = mean_colors(decoded, 2).into_data().try_to_vec().unwrap();
        assert_eq!(means, [0.0, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn too_few_colors_are_an_error() {
        let config = PaletteConfig::new(ImageShape::new(2, 2, 4)).with_patch(2).with_vocabulary(3);
        let message = config.fit(images(), 0).unwrap_err().to_string();
        assert!(message.contains("do not fill a palette") && message.contains("2 differ"));
    }
}
