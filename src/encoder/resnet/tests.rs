//! What a ResNet promises.

use burn::tensor::Tolerance;

use super::*;
use crate::grid::Grid;
use crate::mask::UnitMask;
use crate::nn::Init;
use crate::test_device;

/// Three stages of bottlenecks, or of basic blocks, from 4 features on, for images of two channels.
fn net(bottleneck: bool) -> ResNet {
    let config = ResNetConfig::new(2, vec![2, 1, 1], vec![4, 8, 16], bottleneck).with_stem(4);
    config.init(&mut InitialWeights::new(0, &test_device()))
}

fn images(rows: usize, cols: usize) -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([2, 2, rows, cols], init).val()
}

/// The second and the third of 2 × 3 units of 16 pixels are hidden, of the other image the first two.
fn mask() -> Mask {
    let masks = [[1, 2], [0, 1]].map(|hidden| UnitMask::from_indices(Grid::new(2, 3), hidden));
    Mask::new(masks.map(Result::unwrap), &test_device()).unwrap()
}

#[test]
fn the_papers_sizes_have_the_papers_parameters() {
    for (config, numbers) in [
        // torchvision's count without the classifier; half of the norms' numbers are memories there too.
        (ResNetConfig::resnet18(3), 11_176_512),
        (ResNetConfig::resnet34(3), 21_284_672),
        (ResNetConfig::resnet50(3), 23_508_032),
        (ResNetConfig::resnet101(3), 42_500_160),
        (ResNetConfig::resnet152(3), 58_143_808),
    ] {
        config.validate().unwrap();
        let net = config.init(&mut InitialWeights::new(0, &test_device()));
        let found = crate::nn::named_parameters(&net).into_iter();
        let trained = found.filter(|found| !found.path.contains("running_"));
        let trained = trained.map(|found| found.shape.iter().product::<usize>());
        assert_eq!(trained.sum::<usize>(), numbers, "{config:?}");
    }
}

#[test]
fn stages_have_half_the_rows_and_columns_of_the_ones_before() {
    for (bottleneck, last) in [(true, 64), (false, 16)] {
        let stages = net(bottleneck).stages(images(33, 48));
        let grids: Vec<_> = stages.iter().map(|stage| (stage.grid.rows, stage.grid.cols)).collect();
        assert_eq!(grids, [(9, 12), (5, 6), (3, 3)]);
        let config = net(bottleneck).config().clone();
        assert_eq!(config.grid([33, 48]), stages[2].grid);
        assert_eq!((stages[2].tokens.dims()[2], config.stride()), (last, 16));
        let whole = net(bottleneck).represent(images(33, 48)).tokens.into_data();
        whole.assert_eq(&stages[2].tokens.to_data(), true);
    }
}

#[test]
fn a_hidden_pixel_reaches_no_feature() {
    let (net, mask) = (net(true), mask());
    let hidden = mask.at(Grid::new(32, 48)).asked.map();
    let seen = |images| net.encode(images, &mask).stages;
    let (before, after) = (seen(images(32, 48)), seen(images(32, 48) + hidden * 5.0));
    for (before, after) in before.into_iter().zip(after) {
        let [_, _, rows, cols] = before.dims();
        let shown = mask.at(Grid::new(rows, cols)).visible.map();
        let outside = (before.clone() * (shown.neg() + 1.0)).abs().max();
        assert_eq!(outside.into_scalar::<f32>(), 0.0);
        after.into_data().assert_eq(&before.into_data(), true);
    }
}

#[test]
fn an_image_is_read_alone() {
    let net = net(true);
    let both = net.represent(images(32, 48)).tokens.narrow(0, 0, 1).into_data();
    let alone = net.represent(images(32, 48).narrow(0, 0, 1)).tokens.into_data();
    alone.assert_approx_eq::<f32>(&both, Tolerance::absolute(1e-5));
}

#[test]
fn every_parameter_belongs_to_the_stem_or_a_block() {
    let net = net(true);
    assert_eq!((net.layers(), net.width()), (4, 64));
    for (path, layer) in [
        ("stem.conv.weight", 0),
        ("stages.0.0.convs.0.conv.weight", 1),
        ("stages.0.1.convs.2.norm.norm.gamma", 2),
        ("stages.1.0.projection.conv.weight", 3),
        ("stages.2.0.convs.1.norm.running_mean", 4),
    ] {
        assert_eq!(net.layer_of(path), layer, "{path}");
    }
}

#[test]
fn every_broken_rule_is_named_with_its_values() {
    let broken = |config: ResNetConfig| config.validate().unwrap_err().to_string();
    assert!(broken(ResNetConfig::new(3, vec![2, 0], vec![8, 8], true)).contains("[2, 0]"));
    assert!(broken(ResNetConfig::new(3, vec![2], vec![8, 8], true)).contains("2 of 1 stages"));
    assert!(broken(ResNetConfig::resnet50(0)).contains("channels"));
    assert!(broken(ResNetConfig::new(3, vec![2], vec![1 << 40], true)).contains("width"));
}
