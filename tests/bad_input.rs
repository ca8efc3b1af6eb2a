//! What a user can get wrong, and what it says: the culprit by name, the values, never a panic.
#![cfg(feature = "train")]

mod common;

use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn_mim::data::augment::Augmentation;
use burn_mim::data::source::folder;
use burn_mim::data::{
    ChannelStatistics, DataOptions, DataSpec, ImageData, ImageDataset, Loader, LoaderConfig,
    MimCollate,
};
use burn_mim::train::{Interrupt, Recipe, RunFolder};
use burn_mim::{
    FixedMask, Grid, ImageShape, Mask, MaskConfig, MaskStrategy, Result, SimMimConfig, UnitMask,
    VitConfig,
};
use common::{IMAGE, device, loader, mae, noise, pretraining, recipe, simmim, waves, weights};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

fn message<T: Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[track_caller]
fn assert_config<T: Debug>(result: Result<T>, rule: &str) {
    assert_eq!(message(result), format!("invalid configuration: {rule}"));
}

/// A folder with 18 PNG files to train on and 2 to test on, and what it opens to.
fn images() -> (TempDir, ImageData) {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..20u8 {
        let image = RgbImage::from_fn(20, 18, |x, y| Rgb([number, x as u8 * 9, (x * y) as u8]));
        let split = dir.path().join(if number < 18 { "train" } else { "test" });
        fs::create_dir_all(&split).unwrap();
        image.save(split.join(format!("{number:02}.png"))).unwrap();
    }
    let data = folder::open(dir.path()).unwrap();
    (dir, data)
}

fn batches(dataset: &Arc<dyn ImageDataset>, workers: usize, training: bool) -> Loader<MimCollate> {
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let mask = mae(IMAGE).mask().unwrap();
    let collate = MimCollate::new(IMAGE, &statistics, Augmentation::none(), mask).unwrap();
    let config = LoaderConfig { batch_size: 6, seed: 5, workers, training };
    Loader::new(dataset.clone(), collate, config, &device()).unwrap()
}

/// Trains for one step on images that are fine, lets `spoil` have the path of one of them, and
/// goes on. Returns what the run says of it, without the images' folder.
fn message_of_a_run(workers: usize, spoil: impl Fn(&Path)) -> String {
    let (dir, data) = images();
    let out = tempfile::tempdir().unwrap();
    let train = batches(&data.train, workers, true);
    let valid = batches(&data.test, workers, false);
    let task = || mae(IMAGE).init(&mut weights(3));
    let interrupt = Interrupt::default();
    interrupt.request();
    let run = pretraining(out.path(), recipe(2)).interrupt(interrupt);
    assert!(run.run(task(), &train, &valid).unwrap().interrupted);
    let saved = RunFolder::new(out.path()).require_latest().unwrap();
    assert_eq!(saved.snapshot().step, 1);

    spoil(&dir.path().join("train/07.png"));
    let epoch: Result<Vec<_>> = train.epoch(0, 0).collect();
    let run = pretraining(out.path(), recipe(2)).resume(true);
    let said = run.run(task(), &train, &valid).unwrap_err().to_string();
    assert_eq!(message(epoch), said);
    let run = RunFolder::new(out.path());
    // Every step before the fault is kept.
    assert!(run.require_latest().unwrap().snapshot().step >= 1);
    run.load_into(task()).unwrap();
    said.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_truncated_image_is_named_and_what_was_saved_before_is_whole() {
    for workers in [0, 2] {
        let said = message_of_a_run(workers, |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        });
        assert!(said.starts_with("train/07.png: cannot be read as an image: "), "{said}");
    }
}

#[test]
fn a_folder_with_a_truncated_image_is_refused_when_it_is_opened() {
    let (dir, _) = images();
    let path = dir.path().join("train/07.png");
    fs::write(&path, &fs::read(&path).unwrap()[..60]).unwrap();
    let said = message(folder::open(dir.path()));
    assert!(said.starts_with(&format!("{}: cannot be read as an image", path.display())), "{said}");
}

#[test]
fn an_image_of_other_channels_than_the_model_reads_is_named_by_its_number() {
    let dataset: Arc<dyn ImageDataset> = waves(ImageShape::square(1, 16), 12);
    for workers in [0, 2] {
        let first = batches(&dataset, workers, false).epoch(0, 0).next().unwrap();
        assert_eq!(
            message(first),
            "sample 0: invalid configuration: the model reads images of 3 channels, got one of 1 \
             (1×16×16)"
        );
    }
}

#[test]
fn data_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let open = |data: &str| {
        message(data.parse::<DataSpec>().unwrap().open(&DataOptions::default(), &mut |_| ()))
    };
    let nowhere = dir.path().join("none");
    let none = nowhere.display();
    for (data, expected) in [
        (format!("folder:{none}"), format!("{none}: {}", fs::metadata(&nowhere).unwrap_err())),
        (
            format!("idx:{none}"),
            format!("{none}/train-images-idx3-ubyte: is missing, both as it is and with .gz"),
        ),
        (
            format!("cifar10:{none}"),
            format!("{none}: is neither a folder nor a .tar.gz with CIFAR-10"),
        ),
    ] {
        assert_eq!(open(&data), expected);
    }
}

#[test]
fn a_folder_without_images_says_what_an_image_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "no image").unwrap();
    let said =
        message(DataSpec::Folder(dir.path().into()).open(&DataOptions::default(), &mut |_| ()));
    let expected =
        format!("{}: holds no images; their names end in one of: ", dir.path().display());
    assert!(said.starts_with(&expected) && said.contains("png"), "{said}");
}

#[test]
fn data_that_nobody_knows_lists_the_known() {
    let parse = |text: &str| text.parse::<DataSpec>();
    assert_config(
        parse("imagenet"),
        "unknown data `imagenet`, expected shapes, moving-shapes, cifar10, cifar10:DIR, cifar100, \
         cifar100:DIR, idx:DIR, folder:DIR, clips:DIR, tar:DIR or parquet:DIR",
    );
    assert_config(parse("folder"), "`folder` needs a folder: folder:DIR");
    assert_config(parse("idx:"), "`idx:` lacks the folder after the colon");
    assert_config(parse("shapes:here"), "`shapes:here`: shapes takes no folder");
}

#[test]
fn a_ratio_that_hides_nothing_or_everything_is_refused() {
    for ratio in [0.0, 1.0] {
        let rule = format!(
            "a mask ratio must lie strictly between 0 (nothing hidden) and 1 (everything hidden), \
             got {ratio:?}"
        );
        assert_config(mae(IMAGE).with_mask(MaskConfig::Mae { ratio }).validate(), &rule);
        assert_config(
            simmim(IMAGE).with_mask(MaskConfig::Simmim { unit: 8, ratio }).validate(),
            &rule,
        );
        assert_config(MaskConfig::Mae { ratio }.build(IMAGE, 4), &rule);
    }
    assert_config(
        mae(IMAGE).with_mask(MaskConfig::Mae { ratio: 0.99 }).validate(),
        "a mask must hide at least one cell and leave at least one visible, got 16 hidden of the \
         16 cells of 4×4",
    );
}

#[test]
fn an_image_that_does_not_divide_into_patches_is_refused() {
    let config = mae(ImageShape::new(3, 16, 18));
    let rule = "an image of 16×18 pixels cannot be cut into squares of 4 pixels";
    assert_config(config.validate(), rule);
    assert_config(config.encoder.validate(), rule);
    assert_config(MaskConfig::Beit {}.build(config.encoder.image, 4), rule);
}

#[test]
#[should_panic(expected = "an image of 16×18 pixels cannot be cut into squares of 4 pixels")]
fn a_model_for_images_that_do_not_divide_into_patches_is_not_made() {
    mae(ImageShape::new(3, 16, 18)).init(&mut weights(0));
}

#[test]
#[should_panic(expected = "an image of 18×16 pixels cannot be cut into squares of 4 pixels")]
fn a_model_does_not_read_images_that_do_not_divide_into_patches() {
    use burn_mim::Backbone;
    simmim(IMAGE).init(&mut weights(0)).encoder.represent(noise(ImageShape::new(3, 18, 16), 1));
}

#[test]
fn a_mask_unit_that_is_no_multiple_of_the_stride_is_refused() {
    let config = simmim(IMAGE).with_mask(MaskConfig::Simmim { unit: 6, ratio: 0.6 });
    assert_config(
        config.validate(),
        "a mask unit of 6 pixels is not a multiple of the model's patch of 4 pixels",
    );
    let encoder = VitConfig { image: ImageShape::square(3, 24), ..config.encoder };
    assert_config(
        SimMimConfig::new(encoder)
            .with_mask(MaskConfig::Simmim { unit: 16, ratio: 0.6 })
            .validate(),
        "an image of 24×24 pixels cannot be cut into squares of 16 pixels",
    );
    assert_config(
        MaskConfig::Simmim { unit: 6, ratio: 0.6 }.build(IMAGE, 4),
        "a mask unit of 6 pixels is not a multiple of the model's patch of 4 pixels",
    );
}

/// A mask of `grid` with its first cell hidden.
fn corner(grid: Grid) -> UnitMask {
    UnitMask::from_indices(grid, [0]).unwrap()
}

#[test]
fn a_mask_that_does_not_fit_the_images_is_refused() {
    let collate = |grid| {
        let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
        let mask: Arc<dyn MaskStrategy> = Arc::new(FixedMask::new(corner(grid)).unwrap());
        MimCollate::new(IMAGE, &statistics, Augmentation::none(), mask)
    };
    for grid in [Grid::square(3), Grid::new(4, 2), Grid::new(1, 2), Grid::square(32)] {
        let rule = format!("a mask of {grid} units does not fit images of 16×16 pixels");
        assert_config(collate(grid), &rule);
    }
    collate(Grid::square(2)).unwrap();
}

#[test]
#[should_panic(expected = "a mask of 3×3 cannot be read on a grid of 4×4")]
fn a_mask_that_does_not_fit_a_grid_is_not_read_on_it() {
    Mask::new([corner(Grid::square(3))], &device()).unwrap().at(Grid::square(4));
}

#[test]
fn statistics_of_other_channels_are_refused() {
    let statistics = ChannelStatistics { mean: vec![0.5], std: vec![0.25] };
    let mask = mae(IMAGE).mask().unwrap();
    assert_config(
        MimCollate::new(IMAGE, &statistics, Augmentation::none(), mask),
        "images of 3 channels cannot be normalized with statistics of 1",
    );
}

#[test]
fn batches_of_nothing_and_data_for_no_batch_are_refused() {
    let load = |batch_size, samples, training| {
        let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
        let mask = mae(IMAGE).mask().unwrap();
        let collate = MimCollate::new(IMAGE, &statistics, Augmentation::none(), mask).unwrap();
        let config = LoaderConfig { batch_size, seed: 0, workers: 0, training };
        Loader::new(waves(IMAGE, samples), collate, config, &device())
    };
    assert_config(load(0, 8, true), "the batch size must be at least 1");
    assert_config(load(8, 7, true), "7 samples do not make one batch of 8");
    assert_config(load(8, 0, false), "0 samples do not make one batch of 8");
    assert_eq!(load(8, 7, false).unwrap().batches(), 1);
}

#[test]
fn a_broken_recipe_is_refused_before_anything_is_touched() {
    let (train, valid) = loaders();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let fine = || recipe(1);
    for (broken, rule) in [
        (fine().with_epochs(0), "epochs must be at least 1, got 0"),
        (fine().with_base_lr(0.0), "base_lr must be above 0, got 0.0"),
        (fine().with_base_lr(f64::NAN), "base_lr must be above 0, got NaN"),
        (fine().with_lr_batch(0), "lr_batch must be at least 1, got 0"),
        (fine().with_warmup_epochs(-1.0), "warmup_epochs must be at least 0, got -1.0"),
        (fine().with_warmup_lr(-0.1), "warmup_lr must be at least 0, got -0.1"),
        (fine().with_min_lr(f64::INFINITY), "min_lr must be at least 0, got inf"),
        (fine().with_betas([0.9, 1.0]), "betas must be in [0, 1), got 1.0"),
        (fine().with_epsilon(0.0), "epsilon must be above 0, got 0.0"),
        (fine().with_weight_decay(-0.5), "weight_decay must be at least 0, got -0.5"),
        (fine().with_clip_norm(Some(0.0)), "clip_norm must be above 0, got 0.0"),
        (fine().with_accumulation(0), "accumulation must be at least 1, got 0"),
        (fine().with_ema(Some(1.0)), "ema must be in [0, 1), got 1.0"),
    ] {
        let run = pretraining(&out, broken);
        assert_config(run.run(mae(IMAGE).init(&mut weights(3)), &train, &valid), rule);
    }
    assert!(!out.exists());
}

fn loaders() -> (Loader<MimCollate>, Loader<MimCollate>) {
    let mask = || mae(IMAGE).mask().unwrap();
    (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0))
}

fn run(out: &Path, recipe: Recipe) -> Result<()> {
    let (train, valid) = loaders();
    let run = pretraining(out, recipe);
    run.run(mae(IMAGE).init(&mut weights(3)), &train, &valid).map(|_| ())
}

#[test]
fn a_run_folder_that_is_a_file_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    fs::write(&out, "somebody's notes").unwrap();
    let said = message(run(&out, recipe(1)));
    assert!(said.starts_with(&format!("checkpoint {}", out.display())), "{said}");
    assert!(said.ends_with("is a file, and a folder is wanted there"), "{said}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "somebody's notes");
}

#[test]
fn a_file_that_cannot_be_written_ends_the_run_and_its_checkpoints_stay_whole() {
    let out = tempfile::tempdir().unwrap();
    let blocked = out.path().join("metrics.json");
    fs::create_dir_all(blocked.join("in the way")).unwrap();
    let said = message(run(out.path(), recipe(1)));
    let expected = format!("checkpoint {}: cannot be written: ", blocked.display());
    assert!(said.starts_with(&expected), "{said}");
    let task = RunFolder::new(out.path()).load_into(mae(IMAGE).init(&mut weights(4)));
    task.unwrap();
    // Nothing half-written is left: the configuration, the log, the checkpoints and what was in the
    // way.
    let mut names: Vec<_> =
        fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".lock", "checkpoints", "config.json", "log.jsonl", "metrics.json"]);
}
