//! Image GPT as an encoder of images.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, assert_shape, s};

use super::Gpt;
use crate::encoder::{Backbone, GridTokens, check_channels};
use crate::grid::Grid;
use crate::image::{PatchLayout, nearest, patchify, unpatchify};

/// A [`Gpt`] with the palette that turns pixels into its ids. Features come from any layer.
#[derive(Module, Debug)]
pub struct PixelGpt {
    /// The transformer.
    pub gpt: Gpt,
    /// `[colors, channels]`, in the units of the images it reads: [0, 1] unless the images are
    /// normalized. Never trained. A published model may come without, and then reads ids alone.
    pub palette: Option<Param<Tensor<2>>>,
    /// Which block's input the features are, counted from 0; the number of blocks for the final
    /// features. The paper probes layers in the middle (§4.1).
    pub layer: usize,
}

impl PixelGpt {
    /// An encoder with features from the middle layer.
    ///
    /// # Panics
    ///
    /// When the palette is not of the transformer's colors and channels.
    pub fn new(gpt: Gpt, palette: Option<Tensor<2>>) -> Self {
        let new = Self { layer: gpt.config().depth / 2, palette: None, gpt };
        match palette {
            Some(palette) => new.with_palette(palette),
            None => new,
        }
    }

    /// The same encoder that reads pixels by `palette`, `[colors, channels]`.
    ///
    /// # Panics
    ///
    /// When the palette is not of the transformer's colors and channels.
    pub fn with_palette(mut self, palette: Tensor<2>) -> Self {
        let config = self.gpt.config();
        assert_shape!(&palette, [config.colors, config.image.channels]);
        self.palette = Some(Param::from_tensor(palette.detach()).set_require_grad(false));
        self
    }

    /// The same encoder with features from the input of the block at `layer`.
    ///
    /// # Panics
    ///
    /// When there is no such layer.
    pub fn at_layer(mut self, layer: usize) -> Self {
        let depth = self.gpt.transformer.blocks.len();
        assert!(layer <= depth, "a transformer of {depth} blocks has no features {layer}");
        self.layer = layer;
        self
    }

    /// The nearest color of each pixel, row-major.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, height · width]`
    ///
    /// # Panics
    ///
    /// When the model has no palette, or one of other channels.
    pub fn ids(&self, images: Tensor<4>) -> Tensor<2, Int> {
        check_channels(&images, self.palette().dims()[1]);
        let [batch, channels, height, width] = images.dims();
        let pixels = patchify(images, 1, PatchLayout::ChannelsFirst);
        let pixels = pixels.reshape([batch * height * width, channels]);
        nearest(pixels, self.palette()).reshape([batch, height * width])
    }

    /// Images of these colors.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, pixels]`, row-major over `grid`
    /// - output: `[batch, channels, rows, columns]`
    ///
    /// # Panics
    ///
    /// When the model has no palette.
    pub fn images(&self, ids: Tensor<2, Int>, grid: Grid) -> Tensor<4> {
        let palette = self.palette();
        let ([batch, count], [_, channels]) = (ids.dims(), palette.dims());
        let colors = palette.select(0, ids.reshape([batch * count]));
        unpatchify(colors.reshape([batch, count, channels]), grid, 1, PatchLayout::ChannelsFirst)
    }

    /// What the transformer reads to predict `ids`: where a token sees those before it alone, the
    /// start and all but the last, otherwise `ids` themselves.
    pub fn inputs(&self, ids: Tensor<2, Int>) -> Tensor<2, Int> {
        let config = self.gpt.config();
        if !config.causal {
            return ids;
        }
        let [batch, count] = ids.dims();
        let start = Tensor::full([batch, 1], config.colors as i64, &ids.device());
        Tensor::cat(vec![start, ids.slice(s![.., 0..count - 1])], 1)
    }

    /// The images' pixels as tokens with positions.
    fn embed(&self, images: Tensor<4>) -> (Grid, Tensor<3>) {
        let [_, _, rows, cols] = images.dims();
        let grid = Grid::new(rows, cols);
        let ids = self.inputs(self.ids(images));
        (grid, self.gpt.embed(ids) + self.gpt.positions.cells(grid).unsqueeze())
    }

    fn palette(&self) -> Tensor<2> {
        let palette = self.palette.as_ref().expect("pixels become ids by a palette: this has none");
        palette.val()
    }
}

impl Backbone for PixelGpt {
    /// The features of one layer, a token for each pixel. A causal token knows the pixels before
    /// its own. Positions are interpolated for images of another size.
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        let (grid, tokens) = self.embed(images);
        GridTokens { tokens: self.gpt.transform(tokens, self.layer), class_token: None, grid }
    }

    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, tokens) = self.embed(images);
        let layers = self.gpt.transformer.layers(tokens, grid, layers).into_iter();
        layers.map(|tokens| GridTokens { tokens, class_token: None, grid }).collect()
    }

    fn width(&self) -> usize {
        self.gpt.config().width
    }

    fn describe(&self) -> String {
        let config = self.gpt.config();
        format!("transformer {}×{}", config.width, config.depth)
    }

    fn layers(&self) -> usize {
        self.gpt.config().depth
    }

    fn layer_of(&self, parameter: &str) -> usize {
        self.gpt.layer_of(parameter.strip_prefix("gpt.").unwrap_or(parameter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::GptConfig;
    use crate::grid::ImageShape;
    use crate::nn::InitialWeights;
    use crate::test_device;

    fn encoder(causal: bool) -> PixelGpt {
        let config =
            GptConfig::new(ImageShape::new(2, 2, 3), 8, 3, 2).with_colors(3).with_causal(causal);
        let palette = Tensor::from_floats([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], &test_device());
        PixelGpt::new(config.init(&mut InitialWeights::new(0, &test_device())), Some(palette))
    }

    fn images() -> Tensor<4> {
        let pixels = [[[[0.1, 0.9, 0.2], [0.0, 0.1, 1.0]], [[0.0, 0.2, 0.7], [0.9, 0.1, 0.3]]]];
        Tensor::from_floats(pixels, &test_device())
    }

    fn host(ids: Tensor<2, Int>) -> Vec<i64> {
        ids.into_data().try_into_vec_as().unwrap()
    }

    #[test]
    fn a_pixel_is_its_nearest_color_and_a_sequence_begins_with_the_start() {
        let ids = encoder(true).ids(images());
        assert_eq!(host(ids.clone()), [0, 1, 2, 2, 0, 1]);
        assert_eq!(host(encoder(true).inputs(ids.clone())), [3, 0, 1, 2, 2, 0]);
        assert_eq!(host(encoder(false).inputs(ids.clone())), host(ids));
    }

    #[test]
    fn images_of_ids_have_those_ids() {
        let encoder = encoder(true);
        let ids = encoder.ids(images());
        let back = encoder.images(ids.clone(), Grid::new(2, 3));
        assert_eq!(back.dims(), [1, 2, 2, 3]);
        assert_eq!(host(encoder.ids(back)), host(ids));
    }

    #[test]
    fn every_layer_has_features_and_the_last_are_those_after_the_norm() {
        let encoder = encoder(true);
        assert_eq!(encoder.layer, 1);
        let of = |layer| encoder.clone().at_layer(layer).represent(images()).tokens.into_data();
        let layers: Vec<_> = (0..=3).map(of).collect();
        assert!((0..3).all(|layer| layers[layer] != layers[layer + 1]));
        let last = encoder.gpt.forward(encoder.inputs(encoder.ids(images())));
        last.into_data().assert_eq(&layers[3], true);
    }

    #[test]
    fn other_image_sizes_are_read_by_interpolating_positions() {
        let features = encoder(false).represent(Tensor::zeros([2, 2, 4, 5], &test_device()));
        assert_eq!((features.grid, features.tokens.dims()), (Grid::new(4, 5), [2, 20, 8]));
    }
}
