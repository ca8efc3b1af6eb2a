//! What models do to images of any size, from runs in folders.
#![cfg(all(feature = "train", feature = "viz"))]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use burn_mim::data::augment::Augmentation;
use burn_mim::data::{Image, ImageData};
use burn_mim::method::Restored;
use burn_mim::run::Run;
use burn_mim::run::apply::{before_after, denoise, inpaint, marked_pixels, predicted_edges};
use burn_mim::{
    CorruptionConfig, GradientTargetConfig, ImageShape, MaskConfig, MaskFeatConfig,
    RestorationConfig, SimMimConfig,
};
use common::{IMAGE, device, encoder, recipe, waves};

fn run(out: &Path) -> Run {
    let data = ImageData::new(waves(IMAGE, 16), waves(IMAGE, 8), vec![]).unwrap();
    let mut run = Run::new(data, out, &device());
    (run.batch_size, run.seed, run.workers) = (8, 1, 0);
    (run.recipe, run.augmentation) = (Some(recipe(1)), Some(Augmentation::none()));
    run
}

fn train_simmim(out: &Path) {
    let config =
        SimMimConfig::new(encoder(IMAGE)).with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 });
    run(out).pretrain(&config).unwrap();
}

fn train_edges(out: &Path, target: GradientTargetConfig) {
    let config = MaskFeatConfig::new(encoder(IMAGE)).with_target(target);
    run(out).pretrain(&config).unwrap();
}

fn photo(channels: usize) -> Image {
    let shape = ImageShape::new(channels, 21, 40);
    Image::new(shape, (0..shape.values()).map(|i| (i * 3 % 256) as u8).collect()).unwrap()
}

#[test]
fn a_run_fills_marked_pixels_of_grey_and_colored_images_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    train_simmim(folder.path());
    for channels in [1, 3] {
        let image = photo(channels);
        let mask = ImageShape { channels: 1, ..image.shape() };
        let mask = (0..mask.values()).map(|at| if at % 40 < 5 { 255_u8 } else { 0 }).collect();
        let mask = Image::new(ImageShape::new(1, 21, 40), mask).unwrap();
        let marked = marked_pixels(&mask, image.shape()).unwrap();
        let filled = inpaint(folder.path(), &image, &marked, &device()).unwrap();
        assert_eq!(filled.shape(), ImageShape::new(3, 21, 40));
        for (at, value) in filled.bytes().unwrap().iter().enumerate() {
            let old = image.bytes().unwrap();
            let old = old[at % old.len()];
            assert!(marked[at % marked.len()] || *value == old, "value {at}");
        }
    }
}

#[test]
fn a_restoration_run_leaves_its_report_and_restores_images_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let corruptions = vec![CorruptionConfig::Rain, CorruptionConfig::Noise { sigma: 30 }];
    let config = RestorationConfig::new(encoder(IMAGE))
        .with_features(4)
        .with_corruptions(corruptions.clone());
    run(folder.path()).pretrain(&config).unwrap();
    let report = std::fs::read(folder.path().join("restoration.json")).unwrap();
    let report: BTreeMap<String, Restored> = serde_json::from_slice(&report).unwrap();
    assert_eq!(report.keys().collect::<Vec<_>>(), ["noise-30", "rain"]);
    for file in ["restoration.json", "reconstruction.png", "loss_curve.png", "metrics.json"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    let image = photo(3);
    let restored = denoise(folder.path(), &image, corruptions[1], &device()).unwrap();
    before_after("Noise", &[("before", &image), ("after", &restored)]).unwrap();
    let unknown = CorruptionConfig::Downsample { factor: 2 };
    let message = denoise(folder.path(), &image, unknown, &device()).unwrap_err().to_string();
    assert!(message.ends_with("not trained on downsample-2, but on rain, noise-30"), "{message}");
}

#[test]
fn runs_of_another_method_are_refused_with_what_to_train() {
    let folder = tempfile::tempdir().unwrap();
    train_edges(folder.path(), GradientTargetConfig::Hog { cell: 4, window: None });
    let image = photo(3);
    let mut marked = vec![false; 21 * 40];
    marked[0] = true;
    let message = inpaint(folder.path(), &image, &marked, &device()).unwrap_err().to_string();
    assert!(message.contains("a run of MaskFeat, but a model that predicts pixels"), "{message}");
    assert!(message.contains("train one with"), "{message}");
    let rain = CorruptionConfig::Rain;
    let message = denoise(folder.path(), &image, rain, &device()).unwrap_err().to_string();
    assert!(message.contains("is a run of maskfeat, not of restoration"), "{message}");
    let message = predicted_edges(folder.path(), &image, &device()).unwrap_err().to_string();
    assert!(message.contains("--target sobel"), "{message}");
}

#[test]
fn a_run_on_edges_draws_the_true_and_the_expected_ones() {
    let folder = tempfile::tempdir().unwrap();
    train_edges(folder.path(), GradientTargetConfig::Sobel);
    let [truth, predicted] = predicted_edges(folder.path(), &photo(1), &device()).unwrap();
    assert_eq!((truth.shape(), predicted.shape()), (ImageShape::new(3, 21, 40), truth.shape()));
    assert_ne!(truth, predicted);
}
