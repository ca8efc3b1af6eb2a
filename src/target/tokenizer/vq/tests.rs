use super::*;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::test_device;
use burn::tensor::{TensorData, Tolerance, s};

fn config() -> VqConfig {
    VqConfig::new(VitConfig::new(ImageShape::new(2, 4, 6), 2, 8, 1, 2))
        .with_vocabulary(3)
        .with_code_width(2)
}

fn vq() -> Vq {
    let mut vq = config().init(&mut InitialWeights::new(0, &test_device()));
    let codes = Tensor::from_floats([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], &test_device());
    vq.codes = Param::from_tensor(codes);
    vq
}

/// Four cells: the first two nearest to code 0, then code 1, then code 1.
fn latents() -> Tensor<3> {
    Tensor::from_floats([[[1.0, 0.0], [0.8, -0.6], [0.0, 1.0], [0.6, 0.8]]], &test_device())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn every_cell_becomes_its_most_similar_code() {
    let quantized = vq().quantize(latents());
    assert_eq!(quantized.ids.into_data().try_into_vec_as::<i64>().unwrap(), [0, 0, 1, 1]);
    let expected = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    let codes = values(quantized.codes);
    assert!(codes.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{codes:?}");
    // 0.2² + 0.6² and 0.6² + 0.2², over eight values.
    assert!((values(quantized.commitment)[0] - 0.8 / 8.0).abs() < 1e-6);
}

#[test]
fn the_gradient_of_a_code_reaches_its_latent_vector_unchanged() {
    let latents = latents().autodiff().require_grad();
    let scale = Tensor::<3>::from_floats(
        [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]],
        &test_device(),
    );
    let gradients = (vq().quantize(latents.clone()).codes * scale.clone()).sum().backward();
    latents.grad(&gradients).unwrap().into_data().assert_eq(&scale.into_data(), true);
}

#[test]
fn codes_follow_their_cells_and_dead_ones_are_revived() {
    let mut vq = vq();
    vq.config = config().with_decay(0.5).with_revive_below(0.5);
    vq.uses = Param::from_tensor(Tensor::from_floats([1.0, 1.0, 1.0], &test_device()));
    let observed = vq.quantize(latents()).observed;
    let vq = vq.follow(observed);
    let codes = values(vq.codes.val());
    // The mean direction of (1, 0) and (0.8, −0.6) is (1.8, −0.6) / √3.6; half way to it.
    let seen = [1.8 / 3.6f32.sqrt(), -0.6 / 3.6f32.sqrt()];
    let half = [0.5 + 0.5 * seen[0], 0.5 * seen[1]];
    let length = half[0].hypot(half[1]);
    assert!((codes[0] - half[0] / length).abs() < 1e-6, "{codes:?}");
    assert!((codes[1] - half[1] / length).abs() < 1e-6, "{codes:?}");
    // Code 2 has a running mean of 0.5 uses, less than half of the average of 4/3: it is the third
    // candidate now, cell 2 of a stride of 1.
    assert_eq!(codes[4..], [0.0, 1.0]);
    let uses = values(vq.uses.val());
    assert!((uses[0] - 1.5).abs() < 1e-6 && (uses[2] - 4.0 / 3.0).abs() < 1e-6, "{uses:?}");
}

#[test]
fn a_codebook_starts_from_the_cells() {
    let vq = vq();
    let mut other = vq.clone();
    other.config = config().with_vocabulary(2);
    other.uses = Param::from_tensor(Tensor::zeros([2], &test_device()));
    let other = other.with_codes_from(latents(), 1).unwrap();
    assert_eq!(other.codes.dims(), [2, 2]);
    let codes = values(other.codes.val());
    assert!(codes.chunks(2).all(|code| (code[0].hypot(code[1]) - 1.0).abs() < 1e-6));
    assert_eq!(values(other.uses.val()), [2.0, 2.0]);
    let flat = latents().slice(s![.., 0..1, ..]);
    assert!(vq.with_codes_from(flat, 1).is_err());
}

#[test]
fn tokens_decode_to_pixels_and_those_of_a_teacher_do_not() {
    let images = Tensor::<4>::ones([2, 2, 4, 6], &test_device());
    let vq = vq();
    let ids = vq.tokenize(images.clone());
    assert_eq!(ids.dims(), [2, 6]);
    let pixels = vq.decode(ids, Grid::new(2, 3)).unwrap();
    assert_eq!(pixels.dims(), [2, 2, 4, 6]);
    let pixels = values(pixels);
    assert!(pixels.iter().all(|value| (0.0..=1.0).contains(value)), "{pixels:?}");
    assert!(pixels.iter().any(|value| *value > 0.0), "{pixels:?}");
    let teacher = config().with_output(VqOutput::Features { width: 5 });
    let vq = teacher.init(&mut InitialWeights::new(0, &test_device()));
    let codes = vq.quantize(vq.latents(images.clone())).codes;
    assert_eq!(vq.decode_codes(codes, Grid::new(2, 3)).dims(), [2, 6, 5]);
    assert!(vq.decode(vq.tokenize(images), Grid::new(2, 3)).is_none());
}

#[test]
fn latents_of_zeros_have_finite_gradients() {
    let mut vq = config().init(&mut InitialWeights::new(0, &test_device().autodiff()));
    vq.to_code.second.weight =
        vq.to_code.second.weight.map(|weight| weight.zeros_like().require_grad());
    let latents = vq.latents(Tensor::ones([1, 2, 4, 6], &test_device()));
    let Quantized { codes, commitment, .. } = vq.quantize(latents);
    let gradients = (codes.sum() + commitment.sum()).backward();
    for gradient in [
        vq.to_code.second.weight.grad(&gradients).unwrap(),
        vq.encoder.body.patch_embed.weight.grad(&gradients).unwrap(),
    ] {
        let gradient = values(gradient);
        assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
    }
}

#[test]
fn latents_have_length_one() {
    let latents = vq().latents(Tensor::ones([1, 2, 4, 6], &test_device()));
    let lengths = latents.square().sum_dim(2).into_data();
    let ones = TensorData::ones::<f32, _>([1, 6, 1]);
    lengths.assert_approx_eq::<f32>(&ones, Tolerance::absolute(1e-5));
}

#[test]
fn pixels_are_read_from_minus_one_to_one() {
    let vq = vq();
    let init = Init::Normal { std: 0.3 };
    let images = InitialWeights::new(5, &test_device()).param([2, 2, 4, 6], init).val();
    let features = vq.encoder.represent((images.clone() - 0.5) * 2.0).tokens;
    let latents = unit(vq.to_code.forward(features), 2);
    let tolerance = Tolerance::absolute(1e-4);
    vq.latents(images).into_data().assert_approx_eq::<f32>(&latents.into_data(), tolerance);
}

#[test]
fn a_fresh_codebook_is_drawn_from_the_unit_normal() {
    let config = config().with_vocabulary(64).with_code_width(8);
    let codes = values(config.init(&mut InitialWeights::new(0, &test_device())).codes.val());
    let square = codes.iter().map(|value| value * value).sum::<f32>() / codes.len() as f32;
    // 512 draws: the mean square is 1 with a standard deviation of √(2 / 512) = 0.0625.
    assert!((square - 1.0).abs() < 0.2, "{square}");
}

#[test]
fn candidates_are_an_odd_stride_apart() {
    // Eight cells and three codes: every third cell, round the end.
    let latents: Vec<f32> = (0..8).flat_map(|cell| [cell as f32, 1.0]).collect();
    let latents = Tensor::from_data(TensorData::new(latents, [1, 8, 2]), &test_device());
    let ids = Tensor::zeros([1, 8], &test_device());
    let CodeUse { sums, candidates, counts } = vq().observe(latents, ids);
    assert_eq!(values(candidates), [0.0, 1.0, 3.0, 1.0, 6.0, 1.0]);
    // Code 0 was chosen by all, whose first values sum to 28.
    assert_eq!(values(sums), [28.0, 8.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(values(counts), [8.0, 0.0, 0.0]);
}
