//! DALL·E's discrete variational autoencoder (Ramesh et al. 2021, arXiv 2102.12092, §2.1, A).

mod config;
mod stack;
mod start;

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Int, Tensor, assert_shape};

pub use config::{DvaeConfig, Reconstruction};
use stack::conv;
pub use stack::{DvaeBlock, ResidualStack};

use super::Tokenizer;
use crate::grid::Grid;
use crate::image::grid_of;
use crate::kernel::softmax;
use crate::nn::{Init, InitialWeights, convolve, per_token};

/// How far pixels are kept from 0 and 1 where their logit is taken (DALL·E's `map_pixels`).
const PIXEL_MARGIN: f64 = 0.1;

impl DvaeConfig {
    /// The tokenizer with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`DvaeConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Dvae {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let channels = self.image.channels;
        let mut widths = self.group_widths();
        let deepest = widths[widths.len() - 1];
        let normal = |inputs: usize| Init::Normal { std: 1.0 / (inputs as f32).sqrt() };
        let input = conv([channels, self.hidden], 7, weights);
        let encoder_widths = [&[self.hidden], &widths[..]].concat();
        let encoder = ResidualStack::shrinking(&encoder_widths, self.blocks, weights);
        let to_logits = weights.linear(deepest, self.vocabulary, normal(deepest));
        widths.reverse();
        let decoder = self.decoder.then(|| DvaeDecoder {
            codes: weights.linear(self.vocabulary, self.code_width, Init::Normal { std: 1.0 }),
            stack: ResidualStack::growing(
                &[&[self.code_width], &widths[..]].concat(),
                self.blocks,
                weights,
            ),
            output: conv([self.hidden, channels * self.outputs_per_channel()], 1, weights),
        });
        Dvae { input, encoder, to_logits, decoder, config: self.clone() }
    }
}

/// The encoder and decoder of a discrete variational autoencoder.
#[derive(Module, Debug)]
pub struct Dvae {
    /// The first convolution.
    pub input: Conv2d,
    /// The encoder's groups.
    pub encoder: ResidualStack,
    /// A cell's features → one logit for each token.
    pub to_logits: Linear,
    /// What the tokens are trained with.
    pub decoder: Option<DvaeDecoder>,
    #[module(skip)]
    config: DvaeConfig,
}

/// From tokens to images.
#[derive(Module, Debug)]
pub struct DvaeDecoder {
    /// One row for each token: the code vectors.
    pub codes: Linear,
    /// The decoder's groups.
    pub stack: ResidualStack,
    /// The last convolution.
    pub output: Conv2d,
}

impl Dvae {
    /// The sizes it was made with.
    pub fn config(&self) -> &DvaeConfig {
        &self.config
    }

    /// What the encoder says of each cell, before the logits.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]` in [0, 1]
    /// - output: `[batch, cells, width]`, the channels of the last group
    pub fn features(&self, images: Tensor<4>) -> Tensor<3> {
        assert_shape!(&images, [_, self.config.image.channels, _, _]);
        let mapped = images * (1.0 - 2.0 * PIXEL_MARGIN) + PIXEL_MARGIN;
        let features = self.encoder.forward(convolve(&self.input, mapped));
        features.flatten::<3>(2, 3).swap_dims(1, 2)
    }

    /// How well each token describes each cell.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]` in [0, 1]
    /// - output: `[batch, cells, vocabulary]`
    pub fn logits(&self, images: Tensor<4>) -> Tensor<3> {
        per_token(&self.to_logits, self.features(images))
    }

    /// What the decoder makes of the code vectors of each cell: pixels, or the two parameters of
    /// their distribution.
    ///
    /// # Shapes
    ///
    /// - codes: `[batch, cells, code width]`
    /// - output: `[batch, outputs, height, width]`
    ///
    /// # Panics
    ///
    /// When there is no decoder, or the number of codes differs from the number of cells of `grid`.
    pub fn decode_codes(&self, codes: Tensor<3>, grid: Grid) -> Tensor<4> {
        let [batch, _, width] = codes.dims();
        assert_shape!(codes, [_, grid.cells(), _]);
        let map = codes.swap_dims(1, 2).reshape([batch, width, grid.rows, grid.cols]);
        let decoder = self.decoder();
        convolve(&decoder.output, decoder.stack.forward(map))
    }

    /// The mean code vectors of a relaxed choice of tokens: softmax((logits + noise) / temperature)
    /// (Jang et al. 2016, arXiv 1611.01144).
    ///
    /// # Shapes
    ///
    /// - logits, noise: `[batch, cells, vocabulary]`
    /// - temperature: `[1]`
    /// - output: `[batch, cells, code width]`
    ///
    /// # Panics
    ///
    /// When there is no decoder.
    pub fn relaxed_codes(
        &self,
        logits: Tensor<3>,
        noise: Option<Tensor<3>>,
        temperature: Tensor<1>,
    ) -> Tensor<3> {
        let logits = match noise {
            Some(noise) => logits + noise,
            None => logits,
        };
        per_token(&self.decoder().codes, softmax(logits / temperature.unsqueeze()))
    }

    /// The code vectors of tokens.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, cells]`
    /// - output: `[batch, cells, code width]`
    ///
    /// # Panics
    ///
    /// When there is no decoder.
    pub fn codes(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, cells] = ids.dims();
        let codes = &self.decoder().codes;
        let rows = codes.weight.val().select(0, ids.reshape([batch * cells]));
        let rows = match &codes.bias {
            Some(bias) => rows + bias.val().unsqueeze(),
            None => rows,
        };
        rows.reshape([batch, cells, self.config.code_width])
    }

    /// The mean loss of a pixel value of `images`, given what the decoder made of them: the squared
    /// error, or the negative log-likelihood.
    ///
    /// # Shapes
    ///
    /// - decoded: `[batch, outputs, height, width]`
    /// - images: `[batch, channels, height, width]` in [0, 1]
    pub fn reconstruction_loss(&self, decoded: Tensor<4>, images: Tensor<4>) -> Tensor<1> {
        match self.config.reconstruction {
            Reconstruction::L2 => (decoded - images).square().mean(),
            Reconstruction::LogitLaplace => {
                let channels = self.config.image.channels;
                let mapped = images * (1.0 - 2.0 * PIXEL_MARGIN) + PIXEL_MARGIN;
                let rest = mapped.clone().neg() + 1.0;
                let location = decoded.clone().narrow(1, 0, channels);
                let log_scale = decoded.narrow(1, channels, channels);
                let distance = (mapped.clone().log() - rest.clone().log() - location).abs();
                let likelihood = (mapped * rest * 2.0).log() + log_scale.clone();
                (distance * log_scale.neg().exp() + likelihood).mean()
            }
        }
    }

    fn decoder(&self) -> &DvaeDecoder {
        self.decoder.as_ref().expect("a dVAE that was made with a decoder")
    }

    /// The most likely pixels, in [0, 1].
    fn pixels(&self, decoded: Tensor<4>) -> Tensor<4> {
        match self.config.reconstruction {
            Reconstruction::L2 => decoded.clamp(0.0, 1.0),
            Reconstruction::LogitLaplace => {
                let location = decoded.narrow(1, 0, self.config.image.channels);
                let mapped = sigmoid(location);
                ((mapped - PIXEL_MARGIN) / (1.0 - 2.0 * PIXEL_MARGIN)).clamp(0.0, 1.0)
            }
        }
    }
}

impl Tokenizer for Dvae {
    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    fn patch(&self) -> usize {
        self.config.patch
    }

    fn tokenize(&self, images: Tensor<4>) -> Tensor<2, Int> {
        grid_of(&images, self.config.patch);
        self.logits(images).argmax(2).squeeze_dim(2)
    }

    fn decode(&self, ids: Tensor<2, Int>, grid: Grid) -> Option<Tensor<4>> {
        self.decoder.as_ref()?;
        Some(self.pixels(self.decode_codes(self.codes(ids), grid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::test_device;
    use burn::tensor::Tolerance;

    fn config() -> DvaeConfig {
        DvaeConfig::new(ImageShape::new(2, 8, 12))
            .with_patch(4)
            .with_vocabulary(5)
            .with_hidden(4)
            .with_blocks(1)
            .with_code_width(3)
    }

    fn images() -> Tensor<4> {
        let noise =
            InitialWeights::new(1, &test_device()).param([2, 2, 8, 12], Init::XavierUniform);
        noise.val() + 0.5
    }

    #[test]
    fn every_cell_has_a_token_and_decodes_to_pixels() {
        for reconstruction in [Reconstruction::LogitLaplace, Reconstruction::L2] {
            let config = config().with_reconstruction(reconstruction);
            let dvae = config.init(&mut InitialWeights::new(0, &test_device()));
            let ids = dvae.tokenize(images());
            assert_eq!(ids.dims(), [2, 6]);
            let decoded = dvae.decode(ids, Grid::new(2, 3)).unwrap();
            assert_eq!(decoded.dims(), [2, 2, 8, 12]);
            assert!(decoded.clone().min().into_scalar::<f32>() >= 0.0);
            assert!(decoded.max().into_scalar::<f32>() <= 1.0);
        }
    }

    #[test]
    fn a_cold_relaxed_choice_is_the_hard_one() {
        let dvae = config().init(&mut InitialWeights::new(0, &test_device()));
        let cold = Tensor::from_floats([1e-4], &test_device());
        let relaxed = dvae.relaxed_codes(dvae.logits(images()), None, cold).into_data();
        let hard = dvae.codes(dvae.tokenize(images())).into_data();
        relaxed.assert_approx_eq::<f32>(&hard, Tolerance::absolute(1e-4));
    }

    #[test]
    fn the_logit_laplace_loss_is_that_of_the_paper() {
        let config = DvaeConfig { image: ImageShape::new(1, 4, 4), ..config() };
        let dvae = config.init(&mut InitialWeights::new(0, &test_device()));
        // x = 0.75 is mapped to 0.7, whose logit is ln(7/3); location 0.5, scale e^0.2.
        let images = Tensor::full([1, 1, 4, 4], 0.75, &test_device());
        let location = Tensor::<4>::full([1, 1, 4, 4], 0.5, &test_device());
        let log_scale = Tensor::full([1, 1, 4, 4], 0.2, &test_device());
        let decoded = Tensor::cat(vec![location, log_scale], 1);
        let loss: f32 = dvae.reconstruction_loss(decoded, images).into_scalar();
        let logit = (7.0f32 / 3.0).ln();
        let density =
            (-(logit - 0.5).abs() / 0.2f32.exp()).exp() / (2.0 * 0.2f32.exp() * 0.7 * 0.3);
        assert!((loss + density.ln()).abs() < 1e-5, "{loss}");
    }

    #[test]
    fn the_published_encoder_has_no_decoder() {
        let config = config().with_decoder(false);
        let dvae = config.init(&mut InitialWeights::new(0, &test_device()));
        assert!(dvae.decode(dvae.tokenize(images()), Grid::new(2, 3)).is_none());
        DvaeConfig::dalle_encoder().validate().unwrap();
    }

    #[test]
    fn the_encoder_reads_pixels_from_a_tenth_to_nine_tenths() {
        let dvae = config().init(&mut InitialWeights::new(0, &test_device()));
        let mapped = images() * 0.8 + 0.1;
        let expected = dvae.encoder.forward(dvae.input.forward(mapped)).flatten::<3>(2, 3);
        let features = dvae.features(images());
        features.into_data().assert_approx_eq::<f32>(
            &expected.swap_dims(1, 2).into_data(),
            Tolerance::absolute(1e-5),
        );
    }

    #[test]
    fn the_most_likely_pixel_is_the_location_mapped_back_and_cut_off() {
        let dvae = config().init(&mut InitialWeights::new(0, &test_device()));
        // Logits of 0.1 + 0.8 x for x = 0, 0.25 and 1, and of numbers beyond both ends.
        let logit = |p: f32| (p / (1.0 - p)).ln();
        let location = [0.1, 0.3, 0.9, 0.05, 0.95].map(logit);
        let decoded = Tensor::<4>::from_floats(
            [[[location], [location], [[0.3; 5]], [[0.3; 5]]]],
            &test_device(),
        );
        let pixels: Vec<f32> = dvae.pixels(decoded).into_data().try_to_vec().unwrap();
        for (pixel, expected) in pixels.iter().zip([0.0, 0.25, 1.0, 0.0, 1.0].repeat(2)) {
            assert!((pixel - expected).abs() < 1e-5, "{pixels:?}");
        }
    }
}
