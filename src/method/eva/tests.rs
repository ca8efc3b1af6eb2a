//! What EVA and its teacher promise beside their numbers.

use burn::module::Module;
use burn::tensor::{Tensor, Tolerance};

use super::*;
use crate::batch::MimBatch;
use crate::encoder::{
    AnyBackbone, Backbone, BackboneConfig, HieraConfig, SwinConfig, SwinV2Config, VitBody,
};
use crate::grid::Grid;
use crate::image::normalize;
use crate::mask::{Mask, UnitMask};
use crate::nn::Init;
use crate::target::FeatureLayers;
use crate::task::{PretextTask, StepEnd};
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 16, 24);
const GRID: Grid = Grid::new(4, 6);

fn statistics() -> ChannelStatistics {
    ChannelStatistics { mean: vec![0.5, 0.4, 0.3], std: vec![0.25, 0.2, 0.3] }
}

fn vit(patch: usize, width: usize) -> VitConfig {
    VitConfig::new(IMAGE, patch, width, 2, 2)
}

fn teacher() -> TeacherConfig {
    TeacherConfig::new(BackboneConfig::Vit(vit(4, 12)))
}

fn config() -> EvaConfig {
    EvaConfig::new(vit(4, 8), teacher()).with_mask(MaskConfig::blocks(0.4, 2))
}

fn task(config: &EvaConfig) -> Eva {
    config.init(&statistics(), &mut InitialWeights::new(3, &test_device().autodiff()))
}

fn images() -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([2, 3, 16, 24], init).val()
}

fn batch() -> MimBatch {
    let masks = [[0, 5, 9], [1, 2, 20]];
    let masks = masks.map(|cells| UnitMask::from_indices(GRID, cells).unwrap());
    MimBatch::new(images(), Mask::new(masks, &test_device()).unwrap())
}

fn refused(config: &EvaConfig) -> String {
    config.validate().unwrap_err().to_string()
}

fn with_teacher(network: BackboneConfig) -> EvaConfig {
    EvaConfig { teacher: TeacherConfig::new(network), ..config() }
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let grids = refused(&with_teacher(BackboneConfig::Vit(vit(8, 12))));
    assert!(grids.contains("the teacher has 2×3 of them, the student 4×6"), "{grids}");
    let gray = VitConfig { image: ImageShape::new(1, 16, 24), ..vit(4, 12) };
    let channels = refused(&with_teacher(BackboneConfig::Vit(gray)));
    assert!(channels.contains("of 1 channels, the student of 3"), "{channels}");
    let heads = VitConfig { heads: 5, ..vit(4, 12) };
    assert!(refused(&with_teacher(BackboneConfig::Vit(heads))).contains("5 heads do not divide"));
    let layers = FeatureConfig::new(FeatureLayers::Blocks { last: 3 });
    assert!(refused(&config().with_features(layers)).contains("a teacher of 2"));
    let swin = SwinConfig::new(ImageShape::square(3, 16), 4, 8, vec![2], vec![2], 2);
    let mut mlps = with_teacher(BackboneConfig::Swin(swin));
    mlps.encoder.image = ImageShape::square(3, 16);
    mlps.validate().unwrap();
    mlps.features = FeatureConfig::new(FeatureLayers::Mlps { last: 1 });
    assert!(refused(&mlps).contains("of a ViT alone"));
    let one = ChannelStatistics { mean: vec![0.5], std: vec![0.5] };
    let counts = EvaConfig { teacher: teacher().with_statistics(Some(one)), ..config() };
    assert!(refused(&counts).contains("3 channels cannot be normalized with statistics of 1"));
}

#[test]
fn a_teacher_may_have_other_patches_of_other_images_where_the_grids_are_equal() {
    let half = VitConfig { image: ImageShape::new(3, 8, 12), ..vit(2, 12) };
    with_teacher(BackboneConfig::Vit(half)).validate().unwrap();
}

fn body(task: &Eva) -> &VitBody {
    match &task.target.teacher.network {
        AnyBackbone::Vit(body) => body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_teacher_gets_no_gradient_and_stays_as_it_is_to_the_bit() {
    let task = task(&config());
    let weight = |task: &Eva| body(task).patch_embed.weight.val().into_data();
    let before = weight(&task);
    let gradients = task.loss(batch()).loss.backward();
    assert!(task.encoder.body.patch_embed.weight.grad(&gradients).is_some());
    assert!(task.head.projection.weight.grad(&gradients).is_some());
    assert!(body(&task).patch_embed.weight.grad(&gradients).is_none());
    assert!(!body(&task).patch_embed.weight.is_require_grad());
    assert_eq!(task.layers_above("encoder.body.patch_embed.weight"), 3);
    assert_eq!(task.layers_above("target.teacher.network.Vit.patch_embed.weight"), 0);
    let after = task.after_step(StepEnd { progress: 0.5, observed: Vec::new() });
    weight(&after).assert_eq(&before, true);
}

#[test]
fn a_teacher_sees_images_as_they_were_normalized_for_it() {
    let own = ChannelStatistics { mean: vec![0.1, 0.2, 0.6], std: vec![0.5, 0.1, 0.2] };
    let network = teacher().network.init(&mut InitialWeights::new(0, &test_device()));
    let pixels = images() * 0.1 + 0.5;
    let ChannelStatistics { mean, std } = statistics();
    let seen = normalize(pixels.clone(), &mean, &std);
    let expected = network.represent(normalize(pixels, &own.mean, &own.std)).tokens.into_data();
    let adapted = FrozenTeacher::new(network.clone(), Some(&own), &statistics());
    let got = adapted.represent(seen.clone()).tokens.into_data();
    got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
    // Without statistics of its own, and with the same ones, nothing is computed.
    let plain = network.represent(seen.clone()).tokens.into_data();
    for own in [None, Some(&statistics())] {
        let teacher = FrozenTeacher::new(network.clone(), own, &statistics());
        teacher.represent(seen.clone()).tokens.into_data().assert_eq(&plain, true);
    }
}

#[test]
fn a_hierarchy_can_be_the_teacher() {
    let image = ImageShape::square(3, 16);
    let swin = SwinConfig::new(image, 2, 8, vec![2, 2], vec![2, 4], 2);
    let second = SwinV2Config::new(swin.clone());
    let hiera = HieraConfig { width: 4, ..HieraConfig::small_images(image) };
    for network in
        [BackboneConfig::Swin(swin), BackboneConfig::SwinV2(second), BackboneConfig::Hiera(hiera)]
    {
        let mut config = with_teacher(network.clone());
        config.encoder.image = image;
        config.validate().unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<EvaConfig>(&json).unwrap(), config);
        let mask = UnitMask::from_indices(Grid::square(4), [0, 5]).unwrap();
        let images = images().narrow(3, 0, 16).narrow(0, 0, 1);
        let batch = MimBatch::new(images, Mask::new([mask], &test_device()).unwrap());
        let task = task(&config);
        assert_eq!((task.target.width(), task.head.width()), (16, 16));
        assert!(task.loss(batch).loss.into_scalar::<f32>().is_finite());
        assert_eq!(network.layers(), task.target.teacher.layers());
    }
}

#[test]
fn validation_tells_predictions_and_targets_and_the_loss_of_the_mean_of_all_targets() {
    let task = task(&config()).valid();
    let measured = task.measure(batch());
    let named = |(name, rows): &(&'static str, Tensor<2>)| (*name, rows.dims());
    let embeddings: Vec<_> = measured.embeddings.iter().map(named).collect();
    assert_eq!(embeddings, [("prediction", [2, 12]), ("target", [2, 12])]);
    let trivial = task.trivial_loss(&batch()).unwrap().into_scalar::<f32>();
    assert!(trivial > 0.0 && trivial < 1.0, "{trivial}");
}
