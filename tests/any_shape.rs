//! Images of any number of channels, any size and any proportions, through both methods.
#![cfg(feature = "train")]

mod common;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_mim::data::ChannelStatistics;
use burn_mim::nn::sin_cos_table;
use burn_mim::train::optimizer;
use burn_mim::{
    Backbone, ConvNextV2Config, DecoderConfig, EncoderConfig, FcMaeConfig, Grid, HieraConfig,
    HieraMaeConfig, ImageShape, MaeConfig, MaskConfig, MimBatch, PretextTask, RandomMask,
    SimMimConfig, SwinConfig, SwinV2Config, VitConfig,
};
use common::{loader, losses, mae, masked, noise, pretraining, recipe, simmim, weights};

/// The papers' patches would make this 384×640 pixels.
const GRID: Grid = Grid::new(24, 40);

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn is_finite<const D: usize>(tensor: Tensor<D>) -> bool {
    values(tensor).iter().all(|value| value.is_finite())
}

/// `task` after a few steps on one batch, whose loss has fallen.
fn trained<T: PretextTask<Batch = MimBatch>>(mut task: T, batch: &MimBatch) -> T {
    let mut optimizer = optimizer(&task, &recipe(1));
    let mut losses = Vec::new();
    for _ in 0..5 {
        let loss = task.loss(batch.clone()).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &task);
        losses.push(loss.into_scalar::<f32>());
        task = optimizer.step(1e-2, task, gradients);
    }
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses[4] < losses[0], "{losses:?}");
    task.valid()
}

/// A reconstruction has the images' shape, is zero where they were visible and nowhere else.
fn check_reconstruction(reconstruction: Tensor<4>, batch: &MimBatch) {
    let [_, channels, height, width] = batch.images.dims();
    assert_eq!(reconstruction.dims(), batch.images.dims());
    let unit = height / batch.mask.grid().rows;
    for (place, value) in values(reconstruction).into_iter().enumerate() {
        let (x, y) = (place % width, place / width % height);
        let mask = &batch.mask.samples()[place / (channels * height * width)];
        assert!(value.is_finite());
        assert_eq!(value != 0.0, mask.is_hidden(y / unit, x / unit), "row {y}, column {x}");
    }
}

fn check_mae(config: MaeConfig, samples: usize) {
    let batch = masked(noise(config.encoder.image, samples), &config.mask().unwrap());
    let task = trained(config.init(&mut weights(3)), &batch);
    check_reconstruction(task.reconstruct(&batch), &batch);
}

fn check_simmim<C: EncoderConfig>(config: SimMimConfig<C>, samples: usize) {
    let image = config.encoder.image();
    let batch = masked(noise(image, samples), &config.mask().unwrap());
    let task = trained(config.init(&mut weights(3)), &batch);
    check_reconstruction(task.reconstruct(&batch), &batch);
}

#[test]
fn mae_learns_from_one_three_and_five_channels() {
    for channels in [1, 3, 5] {
        check_mae(mae(ImageShape::new(channels, 16, 24)), 2);
    }
}

#[test]
fn simmim_learns_from_one_three_and_five_channels() {
    for channels in [1, 3, 5] {
        check_simmim(simmim(ImageShape::new(channels, 24, 16)), 2);
    }
}

/// Patches of 2 pixels on [`GRID`].
fn wide(config: VitConfig) -> VitConfig {
    let image = ImageShape::new(3, 2 * GRID.rows, 2 * GRID.cols);
    let config = VitConfig { image, patch: 2, width: 8, ..config };
    assert_eq!(config.grid(), GRID);
    config
}

#[test]
fn mae_learns_on_a_grid_of_24_by_40() {
    let config = mae(common::IMAGE);
    check_mae(MaeConfig { encoder: wide(config.encoder.clone()), ..config }, 1);
}

#[test]
fn simmim_learns_on_a_grid_of_24_by_40() {
    let config = simmim(common::IMAGE);
    let config = SimMimConfig { encoder: wide(config.encoder.clone()), ..config };
    check_simmim(config.with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 }), 1);
}

#[test]
fn five_channels_go_from_the_data_set_to_the_pictures() {
    let image = ImageShape::new(5, 16, 24);
    let config = mae(image);
    let train = loader(image, config.mask().unwrap(), true, 2);
    let valid = loader(image, config.mask().unwrap(), false, 0);
    let folder = tempfile::tempdir().unwrap();
    let run = pretraining(folder.path(), recipe(3));
    let pretrained = run.run(config.init(&mut weights(3)), &train, &valid).unwrap();
    let losses = losses(&pretrained.history);
    assert!(losses[2][1] < losses[0][1], "{losses:?}");
    let batch = valid.epoch(0, 0).next().unwrap().unwrap();
    assert_eq!(batch.images.dims(), [8, 5, 16, 24]);
    check_reconstruction(pretrained.task.reconstruct(&batch), &batch);
    #[cfg(feature = "viz")]
    {
        let statistics = ChannelStatistics { mean: vec![0.5; 5], std: vec![0.5; 5] };
        let task = &pretrained.task;
        let sheet = burn_mim::viz::reconstruction_sheet("waves", task, &batch, &statistics);
        sheet.unwrap().save(folder.path().join("sheet.png")).unwrap();
    }
}

/// Sizes other than the 16×16 pixels, or 4×4 cells, a model is made for.
const OTHER_SIZES: [(usize, usize); 3] = [(24, 40), (8, 16), (20, 16)];

#[test]
fn both_encoders_represent_images_of_other_sizes() {
    let visible = mae(common::IMAGE).init(&mut weights(3)).encoder.valid();
    let replaced = simmim(common::IMAGE).init(&mut weights(3)).encoder.valid();
    for (height, width) in OTHER_SIZES {
        let images = noise(ImageShape::new(3, height, width), 2);
        let grid = Grid::new(height / 4, width / 4);
        for features in [visible.represent(images.clone()), replaced.represent(images)] {
            assert_eq!(features.grid, grid);
            assert_eq!(features.tokens.dims(), [2, grid.cells(), 16]);
            assert_eq!(features.mean_pool().dims(), [2, 16]);
            assert!(is_finite(features.tokens));
            assert!(is_finite(features.class_token.unwrap()));
        }
    }
}

#[test]
fn both_methods_reconstruct_images_of_other_sizes() {
    let mae = mae(common::IMAGE).init(&mut weights(3)).valid();
    let simmim = simmim(common::IMAGE).init(&mut weights(3)).valid();
    for (height, width) in OTHER_SIZES {
        let images = noise(ImageShape::new(3, height, width), 2);
        let mask = RandomMask::mae(Grid::new(height / 4, width / 4), 0.75).unwrap();
        let batch = masked(images, &mask);
        check_reconstruction(mae.reconstruct(&batch), &batch);
        check_reconstruction(simmim.reconstruct(&batch), &batch);
    }
}

#[test]
fn encoder_and_decoder_read_the_same_positions_on_another_grid() {
    let decoder = DecoderConfig::new().with_width(16).with_depth(1).with_heads(2);
    let config = mae(ImageShape::square(3, 32)).with_decoder(decoder);
    let task = config.init(&mut weights(3)).valid();
    let encoder = task.encoder.body.positions.unwrap();
    let (from, to) = (Grid::square(8), Grid::new(8, 12));
    assert_eq!(encoder.grid(), from);
    let positions = values(encoder.cells(to));
    assert_eq!(positions, values(task.head.positions().cells(to)));
    assert_eq!(values(encoder.cells(from)), sin_cos_table(from, 16));

    // Away from the border, cell x of 12 lies at (x + ½) · 8/12 − ½ of 8: the sine of that place
    // at the second of four frequencies, 0.1 a cell. The rows stay where they were.
    for cell in 0..to.cells() {
        let (row, col) = (cell / to.cols, cell % to.cols);
        let place = (col as f32 + 0.5) * 8.0 / 12.0 - 0.5;
        if (2..10).contains(&col) {
            assert!((positions[cell * 16 + 1] - (0.1 * place).sin()).abs() < 0.01, "{row}, {col}");
        }
        assert!((positions[cell * 16 + 8] - (row as f32).sin()).abs() < 1e-5, "{row}, {col}");
    }
}

/// Two stages over patches of 4, windows of 4.
fn swin(image: ImageShape) -> SwinConfig {
    SwinConfig::new(image, 4, 8, vec![2, 2], vec![2, 4], 4)
}

#[test]
fn simmim_on_both_swins_learns_from_images_that_are_not_square() {
    for channels in [1, 3, 5] {
        let image = ImageShape::new(channels, 24, 40);
        check_simmim(
            SimMimConfig::new(swin(image)).with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 }),
            2,
        );
        let swin_v2 = SwinV2Config::new(swin(image)).with_branch_norm(1.0);
        check_simmim(
            SimMimConfig::new(swin_v2).with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 }),
            2,
        );
    }
}

#[test]
fn convolutions_learn_from_images_that_are_not_square() {
    for channels in [1, 3, 5] {
        let convnext = convnext(ImageShape::new(channels, 24, 40));
        let mask = MaskConfig::Simmim { unit: 8, ratio: 0.6 };
        check_simmim(SimMimConfig::new(convnext.clone()).with_mask(mask), 2);
        let config = FcMaeConfig::new(convnext);
        let config = FcMaeConfig { decoder: config.decoder.clone().with_width(16), ..config };
        let batch = masked(noise(config.encoder.image, 2), &config.mask().unwrap());
        let task = trained(config.init(&mut weights(3)), &batch);
        check_reconstruction(task.reconstruct(&batch), &batch);
    }
}

/// Two stages over patches of 4.
fn convnext(image: ImageShape) -> ConvNextV2Config {
    ConvNextV2Config::new(image, 4, vec![8, 12], vec![1, 2])
}

#[test]
fn a_hierarchy_trained_at_one_size_reads_and_reconstructs_another() {
    fn check<C: EncoderConfig>(config: SimMimConfig<C>) {
        let small = masked(noise(config.encoder.image(), 2), &config.mask().unwrap());
        let task = trained(config.init(&mut weights(3)), &small);
        let large = noise(ImageShape::new(3, 64, 48), 2);
        let features = task.encoder.represent(large.clone());
        assert_eq!(features.grid, Grid::new(8, 6));
        assert!(is_finite(features.tokens));
        let mask = RandomMask::simmim(ImageShape::new(3, 64, 48), 8, 0.6).unwrap();
        let batch = masked(large, &mask);
        assert!(is_finite(task.loss(batch.clone()).loss));
        check_reconstruction(task.reconstruct(&batch), &batch);
    }
    let image = ImageShape::square(3, 32);
    check(SimMimConfig::new(swin(image)).with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 }));
    let swin_v2 = SwinV2Config::new(swin(image)).with_branch_norm(1.0);
    check(SimMimConfig::new(swin_v2).with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 }));
    check(SimMimConfig::new(convnext(image)).with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 }));
}

#[test]
fn a_masked_hiera_reads_rectangles_of_any_channels() {
    for image in [ImageShape::new(1, 24, 40), ImageShape::new(5, 40, 16)] {
        let encoder = HieraConfig { width: 8, ..HieraConfig::small_images(image) };
        let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
        let config = HieraMaeConfig::new(encoder).with_decoder(decoder);
        let batch = masked(noise(image, 4), &config.mask().unwrap());
        let task = trained(config.init(&mut weights(3)), &batch);
        check_reconstruction(task.reconstruct(&batch), &batch);
    }
}
