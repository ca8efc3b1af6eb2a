//! Exported runs: read back as they were, with their normalization, by the class they name.

mod common;

use std::fs;
use std::path::Path;

use burn_mim::checkpoint::{LoadOptions, Transformers, save_swin};
use burn_mim::data::ImageData;
use burn_mim::data::augment::Augmentation;
use burn_mim::encoder::RelativePositions;
use burn_mim::encoder::{VitBody, VitConfig};
use burn_mim::eval::{FineTuning, Pooling};
use burn_mim::method::{BuiltIn, Method};
use burn_mim::nn::{InitialWeights, Positions, QkvBias};
use burn_mim::run::{BackboneSource, Evaluation, Export, LoadedBackbone, Run};
use burn_mim::{
    Backbone, ContextConfig, ConvNextV2, DecoderConfig, Hiera, HieraConfig, HieraMaeConfig,
    ImageShape, MaskConfig, Result, SimMimConfig, Swin,
};
use safetensors::SafeTensors;
use serde_json::Value;

use common::{IMAGE, device, encoder, fcmae, mae, noise, recipe, swin, waves};

fn data(image: ImageShape) -> ImageData {
    let names = ["even", "odd"].map(String::from).to_vec();
    ImageData::new(waves(image, 24), waves(image, 12), names).unwrap()
}

fn pretrained<M: Method>(out: &Path, method: &M, epochs: usize) {
    let mut run = Run::new(data(method.image()), out, &device());
    (run.batch_size, run.workers) = (8, 0);
    run.recipe = Some(recipe(epochs).with_ema(None));
    run.augmentation = Some(Augmentation::none());
    run.pretrain(method).unwrap();
}

fn source<B: Backbone + Clone + 'static>(path: &Path) -> LoadedBackbone<B> {
    let source = BackboneSource::Folder(path.into());
    source.load::<BuiltIn, B>(None, &encoder(IMAGE), 3, &device()).unwrap()
}

fn export(options: &Export, from: &Path, to: &Path) -> Result<Option<&'static str>> {
    options.run::<BuiltIn>(from, to, &device()).map(|done| done.class)
}

fn same<A: Backbone + Clone, B: Backbone + Clone>(a: &LoadedBackbone<A>, b: &LoadedBackbone<B>) {
    let expected = a.backbone.represent(noise(IMAGE, 2));
    let found = b.backbone.represent(noise(IMAGE, 2));
    found.tokens.into_data().assert_eq(&expected.tokens.into_data(), true);
    assert_eq!(a.statistics, b.statistics);
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn the_encoder_and_the_whole_model_of_a_run_are_read_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    pretrained(&path("mae"), &mae(IMAGE), 1);
    let class = export(&Export::new(), &path("mae"), &path("encoder")).unwrap();
    assert_eq!(class, Some("ViTModel"));
    same(&source::<VitBody>(&path("mae")), &source::<VitBody>(&path("encoder")));
    let strict = LoadOptions { strict: true, resize: false };
    Transformers::open(path("encoder")).unwrap().load(strict, &device()).unwrap();
    let readme = fs::read_to_string(path("encoder").join("README.md")).unwrap();
    for said in ["pre-trained with MAE", "mean [", "add_pooling_layer=False", "burn-mim embed"] {
        assert!(readme.contains(said), "{said}: {readme}");
    }

    let whole = Export::new().with_whole(true);
    let class = export(&whole, &path("mae"), &path("whole")).unwrap();
    assert_eq!(class, Some("ViTMAEForPreTraining"));
    let opened = Transformers::open(path("whole")).unwrap();
    opened.mae(strict, &device()).unwrap();
    assert_eq!(opened.statistics(3).unwrap(), Some(data(IMAGE).statistics));
    // What is there is not overwritten.
    let again = export(&whole, &path("mae"), &path("whole")).unwrap_err().to_string();
    assert!(again.contains("holds something already"), "{again}");

    let absolute = SimMimConfig::new(encoder(IMAGE));
    let absolute = absolute.with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 });
    pretrained(&path("simmim"), &absolute, 1);
    let class = export(&whole, &path("simmim"), &path("simmim whole")).unwrap();
    assert_eq!(class, Some("ViTForMaskedImageModeling"));
    Transformers::open(path("simmim whole")).unwrap().simmim(strict, &device()).unwrap();
}

#[test]
fn the_best_checkpoint_may_be_exported_in_place_of_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A learning rate that makes the last epoch worse than the first.
    let mut run = Run::new(data(IMAGE), path("mae"), &device());
    (run.batch_size, run.workers) = (8, 0);
    run.recipe = Some(recipe(4).with_ema(None).with_base_lr(30.0).with_warmup_epochs(2.0));
    run.augmentation = Some(Augmentation::none());
    let history = run.pretrain(&mae(IMAGE)).unwrap().history;
    let best = history.best().unwrap().epoch;
    assert!(best < 4, "{history:?}");
    export(&Export::new().with_best(true), &path("mae"), &path("best")).unwrap();
    export(&Export::new(), &path("mae"), &path("newest")).unwrap();
    let step = format!("checkpoints/step-{:08}", 3 * best);
    same(&source::<VitBody>(&path("mae").join(step)), &source::<VitBody>(&path("best")));
    same(&source::<VitBody>(&path("mae")), &source::<VitBody>(&path("newest")));
}

/// Fine-tunes the encoder at `from` in `to`; exportable as a class of transformers or not.
fn tuned<B: Backbone + Clone + 'static>(
    from: &Path,
    to: &Path,
    pooling: Pooling,
    normalized: bool,
) {
    let (encoder, data) = (source::<B>(from), data(IMAGE));
    let mut evaluation = Evaluation::new(&encoder, &data, &device());
    (evaluation.batch_size, evaluation.workers, evaluation.pooling) = (8, 0, pooling);
    let tuning = FineTuning { normalized, drop_path: 0.0, ..FineTuning::small_images(1) };
    evaluation.fine_tune_in(&tuning, to, false).unwrap();
}

#[test]
fn a_fine_tuned_run_is_a_class_for_classification_or_an_encoder_with_its_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let config = swin(IMAGE);
    save_swin(path("swin"), &config.init(&mut InitialWeights::new(0, &device())), &config).unwrap();
    pretrained(&path("mae"), &mae(IMAGE), 1);
    tuned::<VitBody>(&path("mae"), &path("vit"), Pooling::ClassToken, false);
    tuned::<VitBody>(&path("mae"), &path("mean"), Pooling::Mean, true);
    tuned::<Swin>(&path("swin"), &path("swin tuned"), Pooling::Mean, false);

    let out = path("out");
    let class = export(&Export::new(), &path("vit"), &out).unwrap();
    assert_eq!(class, Some("ViTForImageClassification"));
    let said = json(&out, "config.json");
    assert_eq!(said["id2label"], serde_json::json!({"0": "even", "1": "odd"}));
    assert_eq!(said["label2id"]["odd"], 1);
    same(&source::<VitBody>(&path("vit")), &source::<VitBody>(&out));
    // The classifier's logits are what PyTorch's linear layer makes of the class token.
    let bytes = fs::read(out.join("model.safetensors")).unwrap();
    let weight = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(weight.tensor("classifier.weight").unwrap().shape(), [2, 16]);

    pretrained(&path("fcmae"), &fcmae(IMAGE), 1);
    let class = export(&Export::new(), &path("fcmae"), &path("out fcmae")).unwrap();
    assert_eq!(class, Some("ConvNextV2Model"));
    same(&source::<ConvNextV2>(&path("fcmae")), &source::<ConvNextV2>(&path("out fcmae")));
    tuned::<ConvNextV2>(&path("fcmae"), &path("fcmae tuned"), Pooling::Mean, true);
    let class = export(&Export::new(), &path("fcmae tuned"), &path("out tuned")).unwrap();
    assert_eq!(class, Some("ConvNextV2ForImageClassification"));
    same(&source::<ConvNextV2>(&path("fcmae tuned")), &source::<ConvNextV2>(&path("out tuned")));

    let class = export(&Export::new(), &path("swin tuned"), &path("out swin")).unwrap();
    assert_eq!(class, Some("SwinForImageClassification"));
    same(&source::<Swin>(&path("swin tuned")), &source::<Swin>(&path("out swin")));

    let done = Export::new().run::<BuiltIn>(&path("mean"), &path("out mean"), &device()).unwrap();
    assert_eq!(done.class, Some("ViTModel"));
    assert!(done.notes[0].contains("classifier.safetensors"), "{:?}", done.notes);
    let bytes = fs::read(path("out mean").join("classifier.safetensors")).unwrap();
    let mut keys: Vec<_> =
        SafeTensors::deserialize(&bytes).unwrap().names().into_iter().map(String::from).collect();
    keys.sort();
    assert_eq!(keys, ["head.bias", "head.weight", "norm.beta", "norm.gamma"]);
}

#[test]
fn a_hiera_is_its_classes_of_transformers_with_the_norm_of_its_pooled_features() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let encoder = HieraConfig { width: 8, ..HieraConfig::small_images(IMAGE) };
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    pretrained(&path("run"), &HieraMaeConfig::new(encoder).with_decoder(decoder), 1);
    let class = export(&Export::new(), &path("run"), &path("encoder")).unwrap();
    assert_eq!(class, Some("HieraModel"));
    same(&source::<Hiera>(&path("run")), &source::<Hiera>(&path("encoder")));
    let whole = Export::new().with_whole(true);
    let class = export(&whole, &path("run"), &path("whole")).unwrap();
    assert_eq!(class, Some("HieraForPreTraining"));
    same(&source::<Hiera>(&path("run")), &source::<Hiera>(&path("whole")));
    tuned::<Hiera>(&path("encoder"), &path("tuned"), Pooling::Mean, true);
    let class = export(&Export::new(), &path("tuned"), &path("classifier")).unwrap();
    assert_eq!(class, Some("HieraForImageClassification"));
    same(&source::<Hiera>(&path("tuned")), &source::<Hiera>(&path("classifier")));
}

#[test]
fn an_encoder_with_parts_of_beits_is_a_beit_whose_last_state_is_normalized() {
    let folder = tempfile::tempdir().unwrap();
    let config = VitConfig::new(IMAGE, 4, 16, 2, 2)
        .with_positions(Positions::None)
        .with_relative_positions(RelativePositions::Shared)
        .with_qkv_bias(QkvBias::QueryValue)
        .with_layer_scale(Some(0.1));
    let body = VitBody::new(&config, &mut InitialWeights::new(5, &device()));
    let class = burn_mim::checkpoint::save_vit_features(folder.path(), &body).unwrap();
    assert_eq!(class, "BeitModel");
    assert_eq!(json(folder.path(), "config.json")["use_mean_pooling"], false);
    let loaded = source::<VitBody>(folder.path());
    let expected = body.represent(noise(IMAGE, 2)).tokens.into_data();
    loaded.backbone.represent(noise(IMAGE, 2)).tokens.into_data().assert_eq(&expected, true);
}

#[test]
fn what_transformers_has_no_class_for_is_a_bare_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    pretrained(&path("context"), &ContextConfig::small_images(IMAGE), 1);
    let said = export(&Export::new(), &path("context"), &path("out")).unwrap_err().to_string();
    assert!(said.contains("transformers has no class for this encoder"), "{said}");
    // Nothing of it is left.
    assert!(!path("out").exists());
    let bare = Export::new().with_bare(true);
    assert_eq!(export(&bare, &path("context"), &path("out")).unwrap(), None);
    let bytes = fs::read(path("out").join("model.safetensors")).unwrap();
    assert!(!SafeTensors::deserialize(&bytes).unwrap().names().is_empty());
}
