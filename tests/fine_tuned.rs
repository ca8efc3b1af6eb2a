//! Fine-tuned runs: kept whole, gone on with, and read back as an encoder with its classifier.

mod common;

use std::fs;
use std::path::Path;

use burn::tensor::{TensorData, Tolerance};
use burn_mim::checkpoint::{save_pixel_gpt, save_swin};
use burn_mim::data::ImageData;
use burn_mim::data::augment::Augmentation;
use burn_mim::encoder::{GptConfig, PixelGpt, ResidualNet, VitBody};
use burn_mim::eval::FineTuning;
use burn_mim::method::BuiltIn;
use burn_mim::nn::InitialWeights;
use burn_mim::run::{
    BackboneSource, EncoderSpec, Evaluation, FineTuned, FineTunedConfig, LoadedBackbone, Run,
};
use burn_mim::train::{Interrupt, RunFolder};
use burn_mim::{
    Backbone, ContextConfig, ConvNextV2, Error, ImageShape, Result, SimMimConfig, Swin,
    TokenConvNextV2,
};

use common::{IMAGE, device, encoder, fcmae, mae, noise, recipe, swin, waves, weights};

fn data(image: ImageShape) -> ImageData {
    let names = ["even", "odd"].map(String::from).to_vec();
    ImageData::new(waves(image, 24), waves(image, 12), names).unwrap()
}

fn source<B: Backbone + Clone + 'static>(path: &Path) -> LoadedBackbone<B> {
    let source = BackboneSource::Folder(path.into());
    source.load::<BuiltIn, B>(None, &encoder(IMAGE), 3, &device()).unwrap()
}

fn evaluation<'a, B: Backbone + Clone>(
    encoder: &'a LoadedBackbone<B>,
    data: &'a ImageData,
) -> Evaluation<'a, B> {
    let mut evaluation = Evaluation::new(encoder, data, &device());
    (evaluation.batch_size, evaluation.workers, evaluation.seed) = (8, 0, 1);
    evaluation
}

/// Without drop path, since what a device draws is shared by all tests of this process.
fn tuning() -> FineTuning {
    FineTuning { drop_path: 0.0, ..FineTuning::small_images(2) }
}

fn pretrained<M: burn_mim::method::Method>(out: &Path, method: &M) {
    let mut run = Run::new(data(method.image()), out, &device());
    (run.batch_size, run.workers) = (8, 0);
    run.recipe = Some(recipe(1).with_ema(None));
    run.augmentation = Some(Augmentation::none());
    run.pretrain(method).unwrap();
}

/// Fine-tunes `encoder` in `out`, and compares what it leaves with what was trained.
fn tuned<B: Backbone + Clone + 'static>(encoder: &LoadedBackbone<B>, out: &Path) -> FineTuned<B> {
    let data = data(encoder.image);
    let (task, _) = evaluation(encoder, &data).fine_tune_in(&tuning(), out, false).unwrap();
    let loaded = RunFolder::new(out).load_fine_tuned::<BuiltIn, B>(&device()).unwrap();
    let images = || noise(encoder.image, 3);
    let expected = task.logits(images()).into_data();
    loaded.task.logits(images()).into_data().assert_eq(&expected, true);
    assert_eq!(loaded.config.class_names, data.class_names);
    let statistics = encoder.statistics.clone().unwrap_or(data.statistics);
    assert_eq!(loaded.config.statistics, statistics);
    loaded
}

#[test]
fn a_fine_tuned_run_is_read_back_whatever_encoder_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    pretrained(&path("mae"), &mae(IMAGE));
    let loaded = tuned(&source::<VitBody>(&path("mae")), &path("mae tuned"));
    // Neither the run that it began with nor its images are needed any more.
    fs::remove_dir_all(path("mae")).unwrap();
    let sums = loaded.probabilities(noise(IMAGE, 3)).sum_dim(1).into_data();
    sums.assert_approx_eq::<f32>(&TensorData::from([[1.0f32]; 3]), Tolerance::absolute(1e-5));
    assert_eq!(loaded.config.encoder, Some(EncoderSpec::Vit(encoder(IMAGE))));

    // An encoder that its method alone can build.
    let context = ContextConfig::small_images(IMAGE);
    pretrained(&path("context"), &context);
    let loaded = tuned(&source::<ResidualNet>(&path("context")), &path("context tuned"));
    assert!(matches!(loaded.config.encoder, Some(EncoderSpec::Method { .. })));

    let config = swin(IMAGE);
    save_swin(path("swin"), &burn_mim::EncoderConfig::init(&config, &mut weights(0)), &config)
        .unwrap();
    pretrained(&path("fcmae"), &fcmae(IMAGE));
    let loaded = tuned(&source::<ConvNextV2>(&path("fcmae")), &path("fcmae tuned"));
    assert!(matches!(loaded.config.encoder, Some(EncoderSpec::ConvNextV2(_))));
    let simmim = SimMimConfig::in_small_squares(fcmae(IMAGE).encoder);
    pretrained(&path("simmim"), &simmim);
    let loaded = tuned(&source::<TokenConvNextV2>(&path("simmim")), &path("simmim tuned"));
    assert!(matches!(loaded.config.encoder, Some(EncoderSpec::TokenConvNextV2(_))));

    let loaded = tuned(&source::<Swin>(&path("swin")), &path("swin tuned"));
    assert!(matches!(loaded.config.encoder, Some(EncoderSpec::Swin(_))));
}

#[test]
fn the_palette_of_an_image_gpt_is_kept_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (published, out) = (folder.path().join("gpt"), folder.path().join("tuned"));
    let config = GptConfig::new(ImageShape::square(3, 8), 8, 2, 2).with_colors(4);
    let palette = burn::tensor::Tensor::from_floats(
        [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.0, 0.0], [0.0, 0.5, 1.0]],
        &device(),
    );
    let gpt = PixelGpt::new(config.init(&mut weights(0)), Some(palette.clone()));
    save_pixel_gpt(&published, &gpt, &config).unwrap();
    let loaded = tuned(&source::<PixelGpt>(&published), &out);
    let kept = loaded.task.encoder.palette.unwrap().val().into_data();
    kept.assert_approx_eq::<f32>(&palette.into_data(), Tolerance::absolute(1e-6));
}

#[test]
fn an_interrupted_fine_tuning_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (encoder, data) = (source_of_random(), data(IMAGE));
    let mut evaluation = evaluation(&encoder, &data);
    let whole = evaluation.fine_tune_in(&tuning(), &folder.path().join("whole"), false).unwrap().0;
    let out = folder.path().join("parts");
    let going = evaluation.interrupt.clone();
    let stopped = Interrupt::default();
    stopped.request();
    evaluation.interrupt = stopped;
    let first = evaluation.fine_tune_in(&tuning(), &out, false);
    assert!(matches!(first, Err(Error::Interrupted)));
    evaluation.interrupt = going;
    let parts = evaluation.fine_tune_in(&tuning(), &out, true).unwrap().0;
    let logits =
        |task: &burn_mim::eval::Classification<VitBody>| task.logits(noise(IMAGE, 3)).into_data();
    logits(&parts).assert_eq(&logits(&whole), true);
}

fn source_of_random() -> LoadedBackbone<VitBody> {
    BackboneSource::None.load::<BuiltIn, _>(None, &encoder(IMAGE), 3, &device()).unwrap()
}

#[test]
fn the_encoder_of_a_fine_tuned_run_is_a_source_of_encoders() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tuned");
    let expected = tuned(&source_of_random(), &out).task.encoder.represent(noise(IMAGE, 2));
    let loaded = source::<VitBody>(&out);
    let tokens = loaded.backbone.represent(noise(IMAGE, 2)).tokens.into_data();
    tokens.assert_eq(&expected.tokens.into_data(), true);
    assert_eq!(loaded.title, "fine-tuned random ViT 16×2, patch 4");
    let other = BackboneSource::Folder(out).load::<BuiltIn, VitBody>(
        Some(32),
        &encoder(IMAGE),
        3,
        &device(),
    );
    assert!(other.unwrap_err().to_string().contains("reads no other size"));
}

#[test]
fn an_encoder_of_a_users_own_type_is_given_to_be_filled() {
    let folder = tempfile::tempdir().unwrap();
    let own = |seed| {
        let new = move |w: &mut _| Ok(encoder(IMAGE).init_visible(w));
        let fresh = encoder(IMAGE).init_visible(&mut InitialWeights::new(seed, &device()));
        LoadedBackbone::new(fresh, IMAGE, "mine", new)
    };
    let data = data(IMAGE);
    let task = evaluation(&own(1), &data).fine_tune_in(&tuning(), folder.path(), false).unwrap().0;
    let run = RunFolder::new(folder.path());
    let refused = run.load_fine_tuned::<BuiltIn, VitBody>(&device()).unwrap_err().to_string();
    assert!(refused.contains("of a type that no file describes"), "{refused}");
    let loaded = FineTuned::load_with(&run, own(2)).unwrap();
    let expected = task.logits(noise(IMAGE, 2)).into_data();
    loaded.task.logits(noise(IMAGE, 2)).into_data().assert_eq(&expected, true);
}

#[test]
fn a_configuration_that_is_none_of_a_fine_tuned_run_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let message = |json: &str| {
        fs::write(&path, json).unwrap();
        let read: Result<_> = FineTunedConfig::of(&RunFolder::new(folder.path()));
        read.unwrap_err().to_string()
    };
    assert!(message(r#"{"format": 2}"#).contains("is not of a fine-tuned run"));
    let newer = message(r#"{"format": "fine-tuned 9"}"#);
    assert!(newer.contains(r#"has the format "fine-tuned 9"; this version reads"#), "{newer}");
}
