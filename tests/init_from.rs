//! Continued pre-training: what a run that begins with given weights computes, says and refuses.

mod common;
#[path = "common/parity_folder.rs"]
mod parity_folder;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn_mim::checkpoint::{LoadOptions, Transformers, save_preprocessor};
use burn_mim::data::{ChannelStatistics, ImageData, ImageDataset};
use burn_mim::encoder::{SwinConfig, SwinV2Config};
use burn_mim::method::{DataFacts, InitFrom, InitPart, Method, NormalizationOf};
use burn_mim::run::{Draft, Run, RunConfig, RunDocument};
use burn_mim::target::tokenizer::{PaletteConfig, TokenizerConfig};
use burn_mim::train::{Interrupt, Precision, Pretrained, RunFolder};
use burn_mim::{
    BeitConfig, FcMaeConfig, ImageGptConfig, ImageShape, MaeConfig, PretextTask, SimMimConfig,
    VitConfig,
};
use common::{device, losses, recipe, waves, weights};
use parity_folder::folder;
use serde_json::Value;

/// A run of one batch of 8 images in each split, which begins with `source`.
fn run(source: &Path, image: ImageShape, out: &Path) -> Run {
    let images = |count| -> Arc<dyn ImageDataset> { waves(image, count) };
    let data = ImageData::new(images(8), images(8), vec!["a".into(), "b".into()]).unwrap();
    let mut run = Run::new(data, out, &device());
    (run.batch_size, run.recipe) = (8, Some(recipe(1)));
    run.init_from = Some(InitFrom::new(source.into()));
    run
}

/// The loss of `model` on the one batch that `run` trains on.
fn loss_on_first_batch<M: Method>(run: &Run, method: &M, model: &M::Task) -> f64 {
    let facts = DataFacts::new(method.normalization(run.data.statistics.clone()));
    let collate = method.collate(&facts, method.augmentation()).unwrap();
    let mut epoch = run.loader(&run.data.train, collate, true).unwrap().epoch(0, 0);
    f64::from(model.loss(epoch.next().unwrap().unwrap()).loss.into_scalar::<f32>())
}

/// Checks that the first step of `run` has the loss of `expected`, and that of a run with fresh
/// weights another one.
fn begins_with<M: Method>(
    run: &Run,
    method: &M,
    expected: impl FnOnce(&Pretrained<M::Task>) -> M::Task,
) {
    let trained = run.pretrain(method).unwrap();
    let expected = loss_on_first_batch(run, method, &expected(&trained));
    let first = trained.history.epochs[0].train_loss;
    assert!((first - expected).abs() < 1e-6 * expected.abs(), "{first} is not {expected}");
    let facts = DataFacts::new(run.data.statistics.clone());
    let fresh = method.init(&facts, &mut weights(0)).unwrap();
    let fresh = loss_on_first_batch(run, method, &fresh);
    assert!((fresh - expected).abs() > 1e-3 * expected.abs(), "{fresh} is {expected}");
}

fn opened(name: &str) -> Transformers {
    Transformers::open(folder(name)).unwrap()
}

fn numbers<M: Method>(name: &str) -> M {
    InitFrom::new(folder(name)).numbers::<M>(None).unwrap().unwrap()
}

fn report(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("init_from.json")).unwrap()).unwrap()
}

#[test]
fn the_first_loss_is_that_of_the_published_autoencoder() {
    for name in ["mae_raw", "mae_not_square"] {
        let out = tempfile::tempdir().unwrap();
        let method: MaeConfig = numbers(name);
        let run = run(&folder(name), method.image(), out.path());
        begins_with(&run, &method, |_| {
            opened(name).mae(LoadOptions::default(), &device()).unwrap().model.into()
        });
        let report = report(out.path());
        assert_eq!((&report["loaded"], &report["fresh"]), (&"all".into(), &Value::Array(vec![])));
    }
}

#[test]
fn the_first_loss_is_that_of_published_simmims() {
    let out = tempfile::tempdir().unwrap();
    let (options, device) = (LoadOptions::default(), device());
    let method: SimMimConfig = numbers("vit_mim_rgb");
    let run_of = |name: &str, image| run(&folder(name), image, &out.path().join(name));
    begins_with(&run_of("vit_mim_rgb", method.image()), &method, |_| {
        opened("vit_mim_rgb").simmim(options, &device).unwrap().model
    });
    let method: SimMimConfig<SwinConfig> = numbers("swin_mim_padded");
    begins_with(&run_of("swin_mim_padded", method.image()), &method, |_| {
        opened("swin_mim_padded").swin_simmim(options, &device).unwrap().model
    });
    let method: SimMimConfig<SwinV2Config> = numbers("swin_v2_mim_padded");
    begins_with(&run_of("swin_v2_mim_padded", method.image()), &method, |_| {
        opened("swin_v2_mim_padded").swin_v2_simmim(options, &device).unwrap().model
    });
}

#[test]
fn the_first_loss_of_convolutions_is_that_of_the_published_network() {
    let (out, options) = (tempfile::tempdir().unwrap(), LoadOptions::default());
    let network = || opened("convnext_v2_model").convnext_v2(options, &device()).unwrap().model;
    let encoder = network().config().clone().with_pooled_norm(None);
    let run_of =
        |name: &str| run(&folder("convnext_v2_model"), encoder.image, &out.path().join(name));
    let method = FcMaeConfig::new(encoder.clone());
    let plain = |mut network: burn_mim::ConvNextV2| {
        network.pooled_norm = None;
        network
    };
    // The decoder is fresh, and so that of the seed.
    begins_with(&run_of("fcmae"), &method, |_| {
        let fresh = method.init(&mut weights(0));
        burn_mim::FcMae { encoder: plain(network()), ..fresh }
    });
    assert_eq!(report(&out.path().join("fcmae"))["loaded"], "encoder");
    let method = SimMimConfig::in_small_squares(encoder.clone());
    begins_with(&run_of("simmim"), &method, |_| {
        let mut fresh = method.init(&mut weights(0));
        fresh.encoder.network = plain(network());
        fresh
    });
}

#[test]
fn the_first_loss_of_token_models_is_the_published_ones() {
    let out = tempfile::tempdir().unwrap();
    let (options, device) = (LoadOptions::default(), device());
    // The tokenizer is the run's own: the folder has none, and the numbers do not say one.
    let from = InitFrom::new(folder("beit_mim_shared"));
    assert!(from.numbers::<BeitConfig>(None).unwrap().is_none());
    let loaded = opened("beit_mim_shared").beit(options, &device).unwrap();
    let image = loaded.config.image;
    let tokenizer = PaletteConfig::new(image).with_patch(4).with_vocabulary(11);
    let encoder = loaded.config.clone().with_drop_path(0.0);
    let method = BeitConfig::new(encoder, TokenizerConfig::Palette(tokenizer));
    let first = run(&from.source, image, &out.path().join("beit"));
    begins_with(&first, &method, |trained| loaded.model.with_target(trained.task.target.clone()));
    let method: ImageGptConfig = numbers("image_gpt_loss");
    let run = run(&folder("image_gpt_loss"), method.image(), &out.path().join("gpt"));
    begins_with(&run, &method, |_| {
        opened("image_gpt_loss").image_gpt(options, &device).unwrap().model
    });
}

#[test]
fn other_images_need_an_option_and_are_told() {
    let out = tempfile::tempdir().unwrap();
    let from = InitFrom::new(folder("mae_raw"));
    let image = ImageShape::new(3, 16, 24);
    let method: MaeConfig = from.numbers(Some(image)).unwrap().unwrap();
    assert_eq!(method.image(), image);
    let mut run = run(&from.source, image, out.path());
    let message = run.pretrain(&method).unwrap_err().to_string();
    assert!(message.contains("3×16×16") && message.contains("3×16×24"), "{message}");
    assert!(message.contains("init_from.resize"), "{message}");
    run.init_from = Some(from.clone().with_resize(true));
    begins_with(&run, &method, |_| {
        let options = LoadOptions { strict: false, resize: true };
        opened("mae_raw").with_image(image).mae(options, &device()).unwrap().model.into()
    });
    let resized = report(out.path())["resized"].to_string();
    assert!(resized.contains("encoder.body.positions.table [17, 16] -> [25, 16]"), "{resized}");
    assert!(resized.contains("head.positions.table"), "{resized}");
    // Other channels: the encoder alone, since the decoder predicts three.
    let image = ImageShape::square(5, 16);
    let method: MaeConfig = from.numbers(Some(image)).unwrap().unwrap();
    let mut run = self::run(&from.source, image, &out.path().join("five"));
    let message = run.pretrain(&method).unwrap_err().to_string();
    assert!(message.contains("3×16×16") && message.contains("5×16×16"), "{message}");
    run.init_from = Some(from.with_resize(true));
    run.pretrain(&method).unwrap();
    assert_eq!(report(&run.out)["loaded"], "encoder");
}

#[test]
fn an_encoder_begins_another_method_and_a_run_another_run() {
    let out = tempfile::tempdir().unwrap();
    let mae: MaeConfig = numbers("mae_raw");
    let first = run(&folder("mae_raw"), mae.image(), &out.path().join("mae"));
    let trained = first.pretrain(&mae).unwrap();
    // The same method: its averaged weights, whole.
    let second = run(&first.out, mae.image(), &out.path().join("again"));
    assert_eq!(
        InitFrom::new(first.out.clone()).numbers::<MaeConfig>(None).unwrap(),
        Some(mae.clone())
    );
    begins_with(&second, &mae, |_| trained.task.clone());
    // Another method: the encoder, under its own mask token.
    let from = InitFrom::new(first.out.clone());
    let simmim: SimMimConfig = from.numbers(None).unwrap().unwrap();
    let simmim = simmim.with_mask(common::simmim(mae.image()).mask);
    let mut third = run(&first.out, mae.image(), &out.path().join("simmim"));
    third.pretrain(&simmim).unwrap();
    let report = report(&third.out);
    assert_eq!(report["loaded"], "encoder");
    let fresh = ["encoder.mask_token", "head.projection.bias", "head.projection.weight"];
    let mut told: Vec<_> =
        report["fresh"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    told.sort();
    assert_eq!(told, fresh);
    third.init_from = Some(from.with_load(Some(InitPart::All)));
    let message = third.pretrain(&simmim).unwrap_err().to_string();
    assert!(message.contains("is a model of mae") && message.contains("asks for all"), "{message}");
}

#[test]
fn images_are_normalized_as_the_weights_were_unless_told_otherwise() {
    let (out, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["config.json", "model.safetensors"] {
        fs::copy(folder("mae_raw").join(name), source.path().join(name)).unwrap();
    }
    let method: MaeConfig = numbers("mae_raw");
    let theirs = ChannelStatistics { mean: vec![0.1, 0.2, 0.3], std: vec![0.4, 0.5, 0.6] };
    save_preprocessor(source.path(), method.image(), &theirs).unwrap();
    let mut run = run(source.path(), method.image(), out.path());
    let statistics = |run: &Run| {
        run.pretrain(&method).unwrap();
        RunConfig::<MaeConfig>::of(&RunFolder::new(&run.out)).unwrap().statistics
    };
    assert_eq!(statistics(&run), theirs);
    assert_eq!(report(out.path())["normalization"]["mean"].as_array().unwrap().len(), 3);
    let from = InitFrom::new(source.path().into());
    run.init_from = Some(from.with_normalization(NormalizationOf::Data));
    assert_eq!(statistics(&run), run.data.statistics);
    // A run that begins with this run is normalized as it was.
    fs::write(source.path().join("preprocessor_config.json"), "{}").unwrap();
    let data = run.data.statistics.clone();
    run.data.statistics = theirs;
    (run.init_from, run.out) = (Some(InitFrom::new(run.out.clone())), out.path().join("next"));
    assert_eq!(statistics(&run), data);
}

#[test]
fn a_resumed_run_needs_its_source_no_more_and_has_the_same_bits() {
    let (out, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let moved = source.path().join("moved");
    let copy = source.path().join("source");
    for target in [&copy, &moved] {
        fs::create_dir(target).unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(folder("mae_raw").join(name), target.join(name)).unwrap();
        }
    }
    let method: MaeConfig = numbers("mae_raw");
    let mut whole = run(&copy, method.image(), &out.path().join("whole"));
    whole.recipe = Some(recipe(2));
    let expected = losses(&whole.pretrain(&method).unwrap().history);
    // Stopped after its first step, and resumed without the folder.
    let mut parts = whole.clone();
    parts.out = out.path().join("parts");
    parts.interrupt.request();
    assert!(parts.pretrain(&method).unwrap().interrupted);
    (parts.interrupt, parts.resume) = (Interrupt::default(), true);
    let mut elsewhere = parts.clone();
    fs::remove_dir_all(&copy).unwrap();
    assert_eq!(losses(&parts.pretrain(&method).unwrap().history), expected);
    // It may be resumed from the same weights at another place, and from no others.
    elsewhere.init_from = Some(InitFrom::new(moved.clone()));
    elsewhere.pretrain(&method).unwrap();
    elsewhere.init_from = Some(InitFrom::new(folder("mae_not_square")));
    let message = elsewhere.pretrain(&method).unwrap_err().to_string();
    assert!(message.contains("initial_weights is \""), "{message}");
    elsewhere.init_from = Some(InitFrom::new(moved).with_load(Some(InitPart::Encoder)));
    let message = elsewhere.pretrain(&method).unwrap_err().to_string();
    assert!(message.contains("init_from.load is \"encoder\" here"), "{message}");
    // Nor does a run that began with fresh weights take others half-way.
    elsewhere.init_from = None;
    (elsewhere.resume, elsewhere.out) = (false, out.path().join("fresh"));
    elsewhere.pretrain(&method).unwrap();
    (elsewhere.resume, elsewhere.init_from) = (true, whole.init_from);
    let message = elsewhere.pretrain(&method).unwrap_err().to_string();
    assert!(message.contains("began with fresh weights"), "{message}");
}

#[test]
fn every_fault_of_a_source_is_one_line_that_names_it() {
    let out = tempfile::tempdir().unwrap();
    let mae: MaeConfig = numbers("mae_raw");
    let refused = |source: &Path, method: &MaeConfig| {
        let run = run(source, method.image(), &out.path().join("run"));
        let message = run.pretrain(method).unwrap_err().to_string();
        assert!(!message.contains('\n') && !run.out.join("checkpoints").exists(), "{message}");
        message
    };
    let wide = MaeConfig { encoder: VitConfig { width: 32, ..mae.encoder.clone() }, ..mae.clone() };
    let message = refused(&folder("mae_raw"), &wide);
    assert!(message.contains("mae_raw: encoder.width is 32 here and 16 there"), "{message}");
    let message = refused(&out.path().join("nowhere"), &mae);
    assert!(message.contains("nowhere: there is no such file or folder"), "{message}");
    // A Swin is no encoder of a masked autoencoder.
    let message = refused(&folder("swin_mim_padded"), &mae);
    assert!(message.contains("swin_mim_padded"), "{message}");
    // Cut short.
    let damaged = out.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::copy(folder("mae_raw").join("config.json"), damaged.join("config.json")).unwrap();
    let bytes = fs::read(folder("mae_raw").join("model.safetensors")).unwrap();
    fs::write(damaged.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    let message = refused(&damaged, &mae);
    assert!(
        message.contains("damaged/model.safetensors") && message.contains("cut short"),
        "{message}"
    );
    // The whole is asked for where there is an encoder.
    let image = ImageShape::square(3, 12);
    let from = InitFrom::new(folder("vit_model"));
    let encoder: MaeConfig = from.numbers(None).unwrap().unwrap();
    let mut run = run(&from.source, image, &out.path().join("run"));
    run.init_from = Some(from.with_load(Some(InitPart::All)));
    let message = run.pretrain(&encoder).unwrap_err().to_string();
    assert!(message.contains("holds an encoder, and init_from.load asks for all"), "{message}");
}

#[test]
fn mixed_precision_begins_with_the_same_weights() {
    let out = tempfile::tempdir().unwrap();
    let method: MaeConfig = numbers("mae_not_square");
    let mut run = run(&folder("mae_not_square"), method.image(), out.path());
    run.precision = Precision::Bf16;
    let trained = run.pretrain(&method).unwrap();
    let published = opened("mae_not_square").mae(LoadOptions::default(), &device()).unwrap().model;
    let expected = loss_on_first_batch(&run, &method, &published.into());
    let first = trained.history.epochs[0].train_loss;
    assert!((first - expected).abs() < 2e-2 * expected.abs(), "{first} is not {expected}");
}

#[test]
fn a_document_that_names_only_what_to_begin_with_has_the_sizes_of_the_weights() {
    let mut draft = Draft::new();
    draft.put("method", Some("mae"), "METHOD").unwrap();
    draft.put("init_from.source", Some(folder("mae_raw")), "--init-from").unwrap();
    let document: RunDocument<MaeConfig> = draft.resolve(3).unwrap();
    assert_eq!(document.numbers, numbers("mae_raw"));
    assert_eq!(document.init_from, Some(InitFrom::new(folder("mae_raw"))));
    draft.set("image_size=[16, 24]").unwrap();
    draft.set("numbers.mask.ratio=0.5").unwrap();
    let MaeConfig { encoder, mask, .. } = draft.resolve::<MaeConfig>(3).unwrap().numbers;
    assert_eq!((encoder.image, encoder.width), (ImageShape::new(3, 16, 24), 16));
    assert_eq!(mask.ratio(), Some(0.5));
}
