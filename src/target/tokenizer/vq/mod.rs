//! Vector quantization: the tokenizer of BEiT v2 (Peng et al. 2022, arXiv 2208.06366, §3.1).

mod config;
mod tanh_layers;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData, assert_shape};

pub use config::{VqConfig, VqOutput};
pub use tanh_layers::TanhLayers;

use super::{KMeans, Tokenizer};
use crate::encoder::{Backbone, VisibleVit};
use crate::error::Result;
use crate::grid::Grid;
use crate::image::{PatchLayout, unpatchify};
use crate::nn::{
    Init, InitialWeights, PositionTable, Positions, Transformer, TransformerConfig, per_token, unit,
};
use crate::rng::{Purpose, stream};
use crate::target::counts;

/// Rounds of the k-means that a codebook starts with.
const ROUNDS: usize = 10;

impl VqConfig {
    /// The tokenizer with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`VqConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Vq {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let width = self.encoder.width;
        let outputs = match self.output {
            VqOutput::Pixels => self.encoder.patch_values(),
            VqOutput::Features { width } => width,
        };
        let matrix = self.encoder.matrix_init();
        let depth = self.decoder_depth;
        let decoder = TransformerConfig { depth, ..self.encoder.transformer() };
        let codes = weights.param([self.vocabulary, self.code_width], Init::Normal { std: 1.0 });
        let uses = weights.zeros([self.vocabulary]);
        Vq {
            encoder: self.encoder.init_visible(weights),
            to_code: TanhLayers::new([width, width, self.code_width], matrix, weights),
            codes: codes.set_require_grad(false),
            uses: uses.set_require_grad(false),
            embed: weights.linear(self.code_width, width, matrix),
            positions: PositionTable::new(
                Positions::SinCos,
                self.encoder.grid(),
                width,
                false,
                weights,
            )
            .expect("sin-cos positions are positions"),
            decoder: decoder.init(weights),
            to_output: TanhLayers::new([width, width, outputs], matrix, weights),
            config: self.clone(),
        }
    }
}

/// A transformer whose output for each cell is replaced by the most similar of a few code vectors of
/// length 1. The code vectors are no trained weights: they follow the cells they stand for.
#[derive(Module, Debug)]
pub struct Vq {
    /// From images to cells.
    pub encoder: VisibleVit,
    /// From a cell's features to its latent vector.
    pub to_code: TanhLayers,
    /// The codebook, `[vocabulary, code width]`, rows of length 1.
    pub codes: Param<Tensor<2>>,
    /// The running mean of how often each code is used per batch, `[vocabulary]`.
    pub uses: Param<Tensor<1>>,
    /// From code vectors to the decoder's width.
    pub embed: Linear,
    /// The positions of the cells.
    pub positions: PositionTable,
    /// The decoder's blocks.
    pub decoder: Transformer,
    /// From a cell's features to the values that the objective compares.
    pub to_output: TanhLayers,
    #[module(skip)]
    config: VqConfig,
}

/// The output of a [`Vq`] for a batch.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The tokens, `[batch, cells]`.
    pub ids: Tensor<2, Int>,
    /// Their code vectors, `[batch, cells, code width]`, with the gradient of the latent vectors
    /// they replaced (straight-through).
    pub codes: Tensor<3>,
    /// How far latent and code vectors are from each other: the mean squared difference, whose
    /// gradient pulls on the latent vectors alone.
    pub commitment: Tensor<1>,
    /// What [`Vq::follow`] reads.
    pub observed: CodeUse,
}

/// How a batch used the codes of a [`Vq`]. Carries no gradient.
#[derive(Debug, Clone)]
pub struct CodeUse {
    /// For each code the sum of the latent vectors it was chosen for, `[vocabulary, code width]`.
    pub sums: Tensor<2>,
    /// For each code a latent vector of the batch to move to if it is dead, `[vocabulary, code
    /// width]`.
    pub candidates: Tensor<2>,
    /// How often each code was chosen, `[vocabulary, 1]`.
    pub counts: Tensor<2>,
}

impl Vq {
    /// The sizes it was made with.
    pub fn config(&self) -> &VqConfig {
        &self.config
    }

    /// The latent vectors of all cells, of length 1.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]` in [0, 1]
    /// - output: `[batch, cells, code width]`
    pub fn latents(&self, images: Tensor<4>) -> Tensor<3> {
        let features = self.encoder.represent(images * 2.0 - 1.0);
        unit(self.to_code.forward(features.tokens), 2)
    }

    /// The nearest code vector to each latent vector.
    ///
    /// # Shapes
    ///
    /// - latents: `[batch, cells, code width]`, of length 1
    pub fn quantize(&self, latents: Tensor<3>) -> Quantized {
        let plain = latents.clone().without_autodiff();
        let ids = self.nearest(plain.clone());
        let codes = self.codes_of(ids.clone());
        let observed = self.observe(plain.clone(), ids.clone());
        let commitment = (latents.clone() - codes.clone()).square().mean();
        let codes = latents + (codes - plain);
        Quantized { ids, codes, commitment, observed }
    }

    /// What the decoder makes of code vectors: [`VqOutput`] for each cell.
    ///
    /// # Shapes
    ///
    /// - codes: `[batch, cells, code width]`
    /// - output: `[batch, cells, outputs]`
    ///
    /// # Panics
    ///
    /// When the number of codes differs from the number of cells of `grid`.
    pub fn decode_codes(&self, codes: Tensor<3>, grid: Grid) -> Tensor<3> {
        assert_shape!(&codes, [_, grid.cells(), self.config.code_width]);
        let tokens = per_token(&self.embed, codes) + self.positions.cells(grid).unsqueeze();
        self.to_output.forward(self.decoder.forward(tokens, grid))
    }

    /// The tokenizer with its codebook started from `latents`, by k-means.
    ///
    /// # Shapes
    ///
    /// - latents: `[batch, cells, code width]`, of length 1
    ///
    /// # Errors
    ///
    /// When fewer of them differ than there are codes.
    pub fn with_codes_from(mut self, latents: Tensor<3>, seed: u64) -> Result<Self> {
        let VqConfig { vocabulary, code_width, .. } = self.config;
        let [batch, cells, _] = latents.dims();
        let rows: Vec<f32> = latents.into_data().iter().collect();
        let k_means = KMeans { count: vocabulary, rounds: ROUNDS, spherical: true };
        let codes = k_means.fit(&rows, code_width, &mut stream(seed, Purpose::Weights, 1, 0))?;
        let codes = TensorData::new(codes, [vocabulary, code_width]);
        self.codes = self.codes.map(|old| Tensor::from_data(codes, &old.device()));
        // As if all had been used alike, so that none is taken for dead.
        let average = (batch * cells) as f64 / vocabulary as f64;
        self.uses = self.uses.map(|old| old.full_like(average));
        Ok(self)
    }

    /// The tokenizer after a step: each code vector moves towards the cells it was chosen for, and
    /// one that is hardly ever chosen moves to one of the batch's cells.
    pub fn follow(mut self, observed: CodeUse) -> Self {
        let VqConfig { vocabulary, code_width, decay, revive_below, .. } = self.config;
        let CodeUse { sums, candidates, counts } = observed;
        let average = counts.clone().mean();
        let uses = self.uses.val().unsqueeze_dim::<2>(1) * decay + counts.clone() * (1.0 - decay);
        let dead = uses.clone().lower(average.clone().mul_scalar(revive_below).unsqueeze());
        self.codes = self.codes.map(|codes| {
            let unused = counts.equal_elem(0.0).expand([vocabulary, code_width]);
            let seen = unit(sums, 1).mask_where(unused, codes.clone());
            let followed = unit(codes * decay + seen * (1.0 - decay), 1);
            followed.mask_where(dead.clone().expand([vocabulary, code_width]), candidates)
        });
        // A revived code counts as used, or it would move again before it can be chosen.
        let revived = average.unsqueeze::<2>().expand([vocabulary, 1]);
        self.uses = self.uses.map(|_| uses.mask_where(dead, revived).squeeze_dim(1));
        self
    }

    fn observe(&self, latents: Tensor<3>, ids: Tensor<2, Int>) -> CodeUse {
        let VqConfig { vocabulary, code_width, .. } = self.config;
        let ([batch, cells, _], device) = (latents.dims(), latents.device());
        let rows = batch * cells;
        let latents = latents.reshape([rows, code_width]);
        // An odd stride, so that the candidates are of all columns of a grid of even width.
        let stride = (rows / vocabulary) | 1;
        let chosen = Tensor::<1, Int>::arange(0..vocabulary as i64, &device);
        let chosen = (chosen * stride as i64).remainder_scalar(rows as i64);
        let candidates = latents.clone().select(0, chosen);
        let (ids, dtype) = (ids.reshape([rows]), latents.dtype());
        let counts = counts(ids.clone(), vocabulary).float().cast(dtype).unsqueeze_dim(1);
        let sums = Tensor::zeros([vocabulary, code_width], (&device, dtype));
        let sums = sums.select_assign(0, ids, latents, IndexingUpdateOp::Add);
        CodeUse { sums, candidates, counts }
    }

    fn nearest(&self, latents: Tensor<3>) -> Tensor<2, Int> {
        let [batch, cells, width] = latents.dims();
        let codes = self.codes.val().without_autodiff().transpose();
        let similarity = latents.reshape([batch * cells, width]).matmul(codes);
        similarity.argmax(1).reshape([batch, cells])
    }

    fn codes_of(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, cells] = ids.dims();
        let codes = self.codes.val().without_autodiff();
        codes.select(0, ids.reshape([batch * cells])).reshape([
            batch,
            cells,
            self.config.code_width,
        ])
    }
}

impl Tokenizer for Vq {
    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    fn patch(&self) -> usize {
        self.config.encoder.patch
    }

    fn tokenize(&self, images: Tensor<4>) -> Tensor<2, Int> {
        self.nearest(self.latents(images).without_autodiff())
    }

    fn decode(&self, ids: Tensor<2, Int>, grid: Grid) -> Option<Tensor<4>> {
        if self.config.output != VqOutput::Pixels {
            return None;
        }
        let cells = self.decode_codes(self.codes_of(ids), grid);
        let pixels = unpatchify(cells, grid, self.patch(), PatchLayout::ChannelsFirst);
        Some(pixels.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests;
