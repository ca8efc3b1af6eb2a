//! Where the tokens of a dVAE start.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData, assert_shape};
use rand_distr::{Distribution, StandardNormal};

use super::Dvae;
use crate::error::Result;
use crate::rng::{Purpose, stream};
use crate::target::tokenizer::KMeans;

/// Rounds of the k-means that tokens start with.
const ROUNDS: usize = 10;

/// Cells that k-means reads.
const ROWS: usize = 8192;

/// A cell at the mean squared distance from its center has a logit this far below the logit of the
/// center itself.
const SHARPNESS: f32 = 4.0;

impl Dvae {
    /// The tokenizer with its tokens started from the cells that `features` describe, by k-means: a
    /// token's logit falls with the squared distance from its center, and its code vector is a
    /// random projection of that center. So every token is used from the first step on, and similar
    /// tokens decode to similar pixels.
    ///
    /// # Shapes
    ///
    /// - features: `[batch, cells, width]`, of [`Dvae::features`]
    ///
    /// # Errors
    ///
    /// When fewer of them differ than there are tokens.
    ///
    /// # Panics
    ///
    /// When there is no decoder.
    pub fn with_tokens_from(mut self, features: Tensor<3>, seed: u64) -> Result<Self> {
        let [inputs, vocabulary] = self.to_logits.weight.dims();
        assert_shape!(features, [_, _, inputs]);
        let rows = some_rows(features, inputs);
        let rng = &mut stream(seed, Purpose::Weights, 1, 0);
        let k_means = KMeans { count: vocabulary, rounds: ROUNDS, spherical: false };
        let centers = k_means.fit(&rows, inputs, rng)?;

        // −k·|f − c|² is k·(2 c·f − |c|²), and something that is the same for all tokens.
        let k = SHARPNESS / KMeans::distortion(&rows, inputs, &centers).max(f32::MIN_POSITIVE);
        let weight = transposed(&centers, inputs).into_iter().map(|c| 2.0 * k * c).collect();
        let bias = centers.chunks_exact(inputs).map(|c| -k * dot(c, c)).collect();
        replace(&mut self.to_logits.weight, weight);
        if let Some(old) = &mut self.to_logits.bias {
            replace(old, bias);
        }

        let outputs = self.config.code_width;
        let projection: Vec<f32> = StandardNormal.sample_iter(rng).take(outputs * inputs).collect();
        let standard = standardized(&rows, &centers, inputs);
        let scale = 1.0 / (inputs as f32).sqrt();
        let codes = standard
            .chunks_exact(inputs)
            .flat_map(|c| projection.chunks_exact(inputs).map(move |p| scale * dot(c, p)))
            .collect();
        let decoder = self.decoder.as_mut().expect("a dVAE that was made with a decoder");
        replace(&mut decoder.codes.weight, codes);
        Ok(self)
    }
}

/// Up to [`ROWS`] evenly spaced cells.
fn some_rows(features: Tensor<3>, width: usize) -> Vec<f32> {
    let values: Vec<f32> = features.into_data().iter().collect();
    let total = values.len() / width;
    let read = total.min(ROWS);
    let row = |nth: usize| values[nth * total / read * width..][..width].iter().copied();
    (0..read).flat_map(row).collect()
}

/// `centers` less the mean of `rows`, in units of the rows' standard deviation, which is one number
/// for all values.
fn standardized(rows: &[f32], centers: &[f32], width: usize) -> Vec<f32> {
    let count = (rows.len() / width) as f32;
    let (mut mean, mut squares) = (vec![0.0; width], 0.0);
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count);
        squares += dot(row, row) / count;
    }
    let variance = (squares - dot(&mean, &mean)) / width as f32;
    let deviation = variance.max(f32::MIN_POSITIVE).sqrt();
    let value = |(value, mean): (&f32, &f32)| (value - mean) / deviation;
    centers.chunks_exact(width).flat_map(|c| c.iter().zip(&mean).map(value)).collect()
}

/// `[count, width]` to `[width, count]`.
fn transposed(rows: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|i| rows.iter().skip(i).step_by(width).copied()).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn replace<const D: usize>(param: &mut Param<Tensor<D>>, values: Vec<f32>) {
    let data = TensorData::new(values, param.dims());
    let (id, device) = (param.id, param.lazy_device());
    *param = param.clone().transform_for_load(Tensor::from_data(data, &device), id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::nn::{Init, InitialWeights};
    use crate::target::tokenizer::{DvaeConfig, Tokenizer};
    use crate::test_device;

    fn dvae() -> Dvae {
        let config = DvaeConfig::new(ImageShape::new(2, 8, 12))
            .with_patch(4)
            .with_vocabulary(5)
            .with_hidden(4)
            .with_blocks(1)
            .with_code_width(3);
        config.init(&mut InitialWeights::new(0, &test_device().autodiff()))
    }

    fn images() -> Tensor<4> {
        let noise =
            InitialWeights::new(1, &test_device()).param([4, 2, 8, 12], Init::XavierUniform);
        noise.val() + 0.5
    }

    #[test]
    fn every_token_is_used_from_the_start_by_the_cells_nearest_to_its_center() {
        let dvae = dvae();
        let features = dvae.features(images()).without_autodiff();
        let dvae = dvae.with_tokens_from(features.clone(), 0).unwrap();
        let ids = dvae.tokenize(images()).into_data().try_into_vec_as::<i64>().unwrap();
        assert!((0..5).all(|token| ids.contains(&token)), "{ids:?}");
        // The centers, read back from the weights: half of them over k, and k from |c|².
        let weight: Vec<f32> = dvae.to_logits.weight.val().into_data().try_to_vec().unwrap();
        let bias = dvae.to_logits.bias.as_ref().unwrap().val();
        let bias: Vec<f32> = bias.into_data().try_to_vec().unwrap();
        let column = |token| weight.iter().skip(token).step_by(5).copied().collect::<Vec<_>>();
        let k = -dot(&column(0), &column(0)) / (4.0 * bias[0]);
        let features: Vec<f32> = features.into_data().try_to_vec().unwrap();
        for (row, id) in features.chunks(16).zip(ids) {
            let distance = |token: usize| -> f32 {
                let center = column(token).into_iter().map(|w| w / (2.0 * k));
                row.iter().zip(center).map(|(a, b)| (a - b).powi(2)).sum()
            };
            let own = distance(id as usize);
            assert!((0..5).all(|token| own <= distance(token) * 1.001));
        }
    }

    #[test]
    fn the_decoder_starts_from_projected_centers_of_unit_length_and_the_logits_as_sharp_as_said() {
        let dvae = dvae();
        let features = dvae.features(images()).without_autodiff();
        let dvae = dvae.with_tokens_from(features.clone(), 0).unwrap();
        let weight: Vec<f32> = dvae.to_logits.weight.val().into_data().try_to_vec().unwrap();
        let bias = dvae.to_logits.bias.as_ref().unwrap().val();
        let bias: Vec<f32> = bias.into_data().try_to_vec().unwrap();
        let column = |token| weight.iter().skip(token).step_by(5).copied().collect::<Vec<_>>();
        let k = -dot(&column(0), &column(0)) / (4.0 * bias[0]);
        let centers: Vec<f32> = (0..5).flat_map(column).map(|w| w / (2.0 * k)).collect();
        let features: Vec<f32> = features.into_data().try_to_vec().unwrap();
        let sharpness = k * KMeans::distortion(&features, 16, &centers);
        assert!((sharpness / SHARPNESS - 1.0).abs() < 1e-2, "{sharpness}");
        // A random projection keeps lengths on average: within a factor of 3 for 15 numbers.
        let standard = standardized(&features, &centers, 16);
        let expected = dot(&standard, &standard) / 16.0 * 3.0;
        let codes = &dvae.decoder.as_ref().unwrap().codes.weight;
        let codes: Vec<f32> = codes.val().into_data().try_to_vec().unwrap();
        let ratio = dot(&codes, &codes) / expected;
        assert!((1.0 / 3.0..3.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn centers_are_measured_from_the_mean_of_the_rows_in_their_deviation() {
        // (1, 5) and (3, 5): their mean is (2, 5), their variance (1 + 0) / 2 over both values.
        let standard = standardized(&[1.0, 5.0, 3.0, 5.0], &[3.0, 5.0, 2.0, 6.0], 2);
        let root = 2.0_f32.sqrt();
        for (value, expected) in standard.iter().zip([root, 0.0, 0.0, root]) {
            assert!((value - expected).abs() < 1e-5, "{standard:?}");
        }
    }

    #[test]
    fn so_many_cells_are_read_and_evenly_spaced() {
        let rows = |count: usize| {
            let features = Tensor::<1, burn::tensor::Int>::arange(0..count as i64, &test_device());
            some_rows(features.float().reshape([1, count, 1]), 1)
        };
        assert_eq!(rows(3), [0.0, 1.0, 2.0]);
        let many = rows(2 * ROWS);
        assert_eq!((many.len(), many[1], many[ROWS - 1]), (ROWS, 2.0, 2.0 * ROWS as f32 - 2.0));
    }

    #[test]
    fn the_new_weights_are_trained_on() {
        let dvae = dvae();
        let features = dvae.features(images()).without_autodiff();
        let dvae = dvae.with_tokens_from(features, 0).unwrap();
        let device = test_device();
        let warm = Tensor::from_floats([1.0], &device);
        let codes = dvae.relaxed_codes(dvae.logits(images()), None, warm);
        let gradients = codes.square().sum().backward();
        assert!(dvae.to_logits.weight.grad(&gradients).is_some());
        assert!(dvae.decoder.as_ref().unwrap().codes.weight.grad(&gradients).is_some());
        assert!(dvae.input.weight.grad(&gradients).is_some());
    }

    #[test]
    fn too_few_different_cells_are_an_error() {
        let dvae = dvae();
        let message = dvae.with_tokens_from(Tensor::ones([1, 9, 16], &test_device()), 0);
        assert!(message.unwrap_err().to_string().contains("5 clusters"));
    }
}
