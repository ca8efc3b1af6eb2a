//! Gradients: what `backward` says of every parameter, against central differences of the loss.
#![cfg(feature = "train")]

mod common;
#[path = "gradients/hiera.rs"]
mod hiera;
#[path = "gradients/teachers.rs"]
mod teachers;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Int, Tensor, TensorData};
use burn_mim::encoder::{GptConfig, ResidualConfig};
use burn_mim::method::{ContextBatch, ContextConfig, ImageGptBatch, ImageGptConfig, PatchPairs};
use burn_mim::nn::{Init, InitialWeights, Positions};
use burn_mim::{
    ConvNextV2Config, CorruptionConfig, DecoderAttention, FcMaeConfig, GradientTargetConfig,
    ImageShape, MaeConfig, MaeTargetConfig, MaskConfig, MaskFeatConfig, MaskStrategy, MimBatch,
    Normalization, PixelLoss, PretextTask, RestorationBatch, RestorationConfig, SelfieConfig,
    SimMimConfig, SwinConfig, SwinV2Config, ViewContrastConfig, VitConfig,
};
use common::{device, encoder, mae, masked, noise, simmim, weights};

/// 4×6 cells of 2 pixels, so that neither rows and columns nor channels can be confused.
const IMAGE: ImageShape = ImageShape::new(2, 8, 12);

/// In `f64`, a central difference with this step is off by about STEP² = 1e-10 of the loss's third
/// derivative, and by 1e-16 / STEP = 1e-11 of the loss for rounding.
const STEP: f64 = 1e-5;

/// A hundred times that, relative to a gradient of 1 or, where it is larger, to the gradient.
const TOLERANCE: f64 = 1e-8;

fn tiny(config: VitConfig) -> VitConfig {
    VitConfig { patch: 2, width: 8, ..config }
}

fn tiny_mae() -> MaeConfig {
    let config = mae(IMAGE);
    MaeConfig { encoder: tiny(config.encoder.clone()), ..config }
}

fn tiny_simmim() -> SimMimConfig {
    let mut config = simmim(IMAGE);
    config.encoder = tiny(config.encoder).with_drop_path(0.0);
    config.with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 })
}

/// Two images of noise in `f64`.
fn batch(mask: &impl MaskStrategy) -> MimBatch {
    masked(noise(IMAGE, 2).cast(FloatDType::F64), mask)
}

fn loss<T: PretextTask<Batch: Clone>>(task: &T, batch: &T::Batch) -> Tensor<1> {
    task.loss(batch.clone()).loss
}

/// Moves every trained parameter away from its start, since the zeros and ones there would hide
/// mistakes, and everything to `f64`.
struct Shaken(InitialWeights);

impl ModuleMapper for Shaken {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (trained, shape) = (param.is_require_grad(), param.dims());
        let std = if trained { 0.3 } else { 0.0 };
        let shift = self.0.param(shape, Init::Normal { std }).val();
        param.map(|value| {
            let shaken = value.detach().cast(FloatDType::F64) + shift.cast(FloatDType::F64);
            shaken.detach().set_require_grad(trained)
        })
    }
}

/// One number of one parameter, with its gradient.
struct Entry {
    id: ParamId,
    path: String,
    index: usize,
    gradient: f64,
}

/// A few entries of every trained parameter, and the paths of the fixed ones.
struct Entries {
    gradients: GradientsParams,
    path: Vec<String>,
    trained: Vec<Entry>,
    fixed: Vec<String>,
}

impl ModuleVisitor for Entries {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (id, path) = (param.id, self.path.join("."));
        let gradient = self.gradients.get::<D>(id);
        if !param.is_require_grad() {
            assert!(gradient.is_none(), "{path} is fixed, yet has a gradient");
            return self.fixed.push(path);
        }
        let gradient = gradient.unwrap_or_else(|| panic!("{path} has no gradient"));
        let values: Vec<f64> = gradient.into_data().try_to_vec().unwrap();
        assert!(values.iter().all(|value| value.is_finite()), "{path}: {values:?}");
        let largest =
            (0..values.len()).max_by(|&a, &b| values[a].abs().total_cmp(&values[b].abs()));
        let largest = largest.unwrap();
        assert!(values[largest] != 0.0, "the gradient of {path} is zero everywhere");
        let mut indices = vec![0, values.len() / 3, values.len() - 1, largest];
        indices.sort();
        indices.dedup();
        let entry = |index: usize| Entry { id, path: path.clone(), index, gradient: values[index] };
        self.trained.extend(indices.into_iter().map(entry));
    }
}

/// Adds `by` to one entry.
struct Nudge<'a> {
    entry: &'a Entry,
    by: f64,
}

impl ModuleMapper for Nudge<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.entry.id {
            return param;
        }
        param.map(|value| {
            let (shape, device) = (value.dims(), value.device());
            let mut values: Vec<f64> = value.into_data().try_to_vec().unwrap();
            values[self.entry.index] += self.by;
            let data = TensorData::new(values, shape);
            Tensor::from_data(data, (&device, DType::F64))
        })
    }
}

/// Compares a few entries of every parameter; returns the paths of the fixed ones.
fn check<T: PretextTask<Batch: Clone>>(task: T, batch: &T::Batch) -> Vec<String> {
    let task = task.map(&mut Shaken(InitialWeights::new(7, &device())));
    let gradients = GradientsParams::from_grads(loss(&task, batch).backward(), &task);
    let mut entries = Entries { gradients, path: vec![], trained: vec![], fixed: vec![] };
    task.visit(&mut entries);
    let task = task.valid();
    for entry in &entries.trained {
        let at = |by| {
            let nudged = task.clone().map(&mut Nudge { entry, by });
            loss(&nudged, batch).into_scalar::<f64>()
        };
        let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let Entry { path, index, gradient, .. } = entry;
        assert!(
            (difference - gradient).abs() < TOLERANCE * gradient.abs().max(1.0),
            "{path}[{index}]: backward says {gradient}, differences say {difference}"
        );
    }
    entries.fixed
}

#[test]
fn gradients_of_mae_are_those_of_its_loss_and_its_sin_cos_tables_have_none() {
    let config = tiny_mae();
    assert!(config.normalized);
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert_eq!(fixed, ["encoder.body.positions.table", "head.positions.table"]);
}

#[test]
fn gradients_of_mae_with_learned_positions_and_no_class_token_are_those_of_its_loss() {
    let config = tiny_mae();
    let encoder = config.encoder.clone().with_positions(Positions::Learned).with_class_token(false);
    let config = MaeConfig { encoder, ..config };
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert_eq!(fixed, ["head.positions.table"]);
}

#[test]
fn gradients_of_simmim_are_those_of_its_loss() {
    let config = tiny_simmim();
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert!(fixed.is_empty(), "{fixed:?}");
}

#[test]
fn gradients_of_simmim_with_a_smooth_l1_loss_are_those_of_its_loss() {
    let config = tiny_simmim();
    let mut task = config.init(&mut weights(3));
    // Most errors are beyond this β, many within it.
    task.target = task.target.with_loss(PixelLoss::SmoothL1 { beta: 0.7 });
    check(task, &batch(&config.mask().unwrap()));
}

/// 4×6 patches of 2 pixels, then 2×3: windows of 3 are shifted and padded, then shrink.
fn tiny_swin() -> SwinConfig {
    SwinConfig::new(IMAGE, 2, 4, vec![2, 2], vec![2, 2], 3)
        .with_mlp_ratio(1.5)
        .with_absolute_positions(true)
}

#[test]
fn gradients_of_simmim_on_swin_are_those_of_its_loss() {
    let config =
        SimMimConfig::new(tiny_swin()).with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 });
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert!(fixed.is_empty(), "{fixed:?}");
}

/// A residual network whose norms have two groups of two.
fn tiny_residual() -> ResidualConfig {
    ResidualConfig::new(IMAGE.channels).with_widths(vec![4, 4]).with_groups(2)
}

#[test]
fn gradients_of_context_prediction_are_those_of_its_loss() {
    let pairs = PatchPairs::new(ImageShape::new(2, 20, 24), 5, 1, 1);
    let config = ContextConfig::new(tiny_residual(), pairs).with_hidden(6);
    let patches = |seed| {
        let patches =
            InitialWeights::new(seed, &device()).param([3, 2, 5, 5], Init::Normal { std: 1.0 });
        patches.val().cast(FloatDType::F64)
    };
    let positions = Tensor::<1, Int>::from_ints([0, 7, 3], &device());
    let batch = ContextBatch { centers: patches(1), neighbors: patches(2), positions };
    let fixed = check(config.init(&mut weights(3)), &batch);
    assert!(fixed.is_empty(), "{fixed:?}");
}

#[test]
fn gradients_of_simmim_on_swin_v2_are_those_of_its_loss() {
    let encoder = SwinV2Config::new(tiny_swin().with_absolute_positions(false))
        .with_pretrained_windows(vec![5, 0])
        .with_extra_norm_every(Some(2));
    let config = SimMimConfig::new(encoder)
        .with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 })
        .with_normalization(Normalization::Sliding { side: 5 });
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert!(fixed.is_empty(), "{fixed:?}");
}

#[test]
fn gradients_of_fcmae_are_those_of_its_loss() {
    let encoder = ConvNextV2Config::new(IMAGE, 2, vec![4, 6], vec![1, 2]);
    let config = FcMaeConfig::new(encoder);
    let config = FcMaeConfig { decoder: config.decoder.clone().with_width(8), ..config };
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert!(fixed.is_empty(), "{fixed:?}");
}

#[test]
fn gradients_of_simmim_on_convnext_v2_are_those_of_its_loss() {
    let encoder = ConvNextV2Config::new(IMAGE, 2, vec![4, 6], vec![1, 2]);
    let config = SimMimConfig::new(encoder).with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 });
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert!(fixed.is_empty(), "{fixed:?}");
}

#[test]
fn gradients_of_selfie_are_those_of_its_loss() {
    let config =
        SelfieConfig::new(IMAGE, tiny_residual()).with_patch(4).with_depth(1).with_heads(2);
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert!(fixed.is_empty(), "{fixed:?}");
}

fn tiny_image_gpt() -> ImageGptConfig {
    ImageGptConfig::new(GptConfig::new(ImageShape::new(2, 3, 4), 8, 2, 2).with_colors(5))
}

fn check_image_gpt(config: &ImageGptConfig) -> Vec<String> {
    let palette = InitialWeights::new(4, &device()).param([5, 2], Init::Normal { std: 1.0 }).val();
    let images = noise(config.encoder.image, 2).cast(FloatDType::F64);
    let mask = config.mask().unwrap().map(|mask| masked(images.clone(), &mask).mask);
    check(config.init(Some(palette), &mut weights(3)), &ImageGptBatch { images, mask })
}

#[test]
fn gradients_of_image_gpt_are_those_of_its_loss_and_its_palette_has_none() {
    assert_eq!(check_image_gpt(&tiny_image_gpt()), ["encoder.palette"]);
}

#[test]
fn gradients_of_image_gpt_with_the_bert_objective_are_those_of_its_loss() {
    assert_eq!(check_image_gpt(&tiny_image_gpt().bert()), ["encoder.palette"]);
}

#[test]
fn gradients_of_maskfeat_are_those_of_its_loss() {
    for target in [GradientTargetConfig::Hog { cell: 2, window: None }, GradientTargetConfig::Sobel]
    {
        let config = MaskFeatConfig::new(tiny(encoder(IMAGE))).with_target(target);
        let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
        assert_eq!(fixed, ["encoder.body.positions.table"]);
    }
}

#[test]
fn gradients_of_a_masked_autoencoder_are_those_of_its_loss_whatever_its_target() {
    for target in [
        MaeTargetConfig::LowPass { radius: 2.5 },
        MaeTargetConfig::hog(),
        MaeTargetConfig::pixels_and_hog(),
    ] {
        let config = tiny_mae().with_target(target);
        let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
        assert_eq!(fixed, ["encoder.body.positions.table", "head.positions.table"]);
    }
}

#[test]
fn gradients_of_a_masked_autoencoder_with_a_contrast_are_those_of_its_loss() {
    let contrast = ViewContrastConfig::new().with_hidden(8).with_projection(4);
    let config = tiny_mae().with_contrast(Some(contrast));
    let batch = masked(noise(IMAGE, 8).cast(FloatDType::F64), &config.mask().unwrap());
    let fixed = check(config.init_task(&mut weights(3)), &batch);
    assert_eq!(fixed, ["encoder.body.positions.table", "head.positions.table"]);
}

#[test]
fn gradients_of_a_decoder_of_cross_attention_are_those_of_its_loss() {
    let config = tiny_mae();
    let decoder = config.decoder.clone().with_depth(2).with_attention(DecoderAttention::Cross);
    let config = config.with_decoder(decoder);
    let fixed = check(config.init(&mut weights(3)), &batch(&config.mask().unwrap()));
    assert_eq!(fixed, ["encoder.body.positions.table", "head.positions.table"]);
}

#[test]
fn gradients_of_restoration_are_those_of_its_loss() {
    // SSIM, which the task reports, needs 11×11 pixels.
    let image = ImageShape::new(2, 12, 16);
    let sizes = VitConfig { patch: 4, ..tiny(encoder(image)) }.with_class_token(false);
    let config = RestorationConfig::new(sizes)
        .with_features(3)
        .with_corruptions(vec![CorruptionConfig::Rain]);
    let images = |count| noise(image, count).cast(FloatDType::F64);
    let (corrupted, clean) = (images(2), images(4).narrow(0, 2, 2));
    let batch = RestorationBatch { corrupted, clean, corruption: 0 };
    let fixed = check(config.init(&[0.5; 2], &[0.25; 2], &mut weights(3)), &batch);
    assert_eq!(fixed, ["encoder.body.positions.table"]);
}
