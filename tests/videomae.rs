//! Runs on clips: trained, resumed, measured, fine-tuned, exported, begun with other weights, and what is
//! refused of them.
#![cfg(feature = "run")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_mim::checkpoint::{LoadOptions, Transformers, inflate, save_vit};
use burn_mim::data::{ImageData, ImageDataset, Sample};
use burn_mim::eval::FineTuning;
use burn_mim::method::{BuiltIn, InitFrom, InitPart, Method};
use burn_mim::run::{
    BackboneSource, EncoderSpec, Evaluation, Export, LoadedBackbone, Plan, Protocol, Run, Subject,
};
use burn_mim::train::{Interrupt, RunFolder};
use burn_mim::{
    Backbone, ClipDecoderConfig, ClipMaskConfig, ClipShape, ClipVit, ClipVitConfig, ImageShape,
    MaeConfig, VideoMaeConfig,
};
use common::{device, encoder, losses, mae, recipe, waves, weights};

const FRAME: ImageShape = ImageShape::square(3, 16);

/// Clips of 7 frames, of which models read every second of 4.
const CLIP: ImageShape = ClipShape::new(FRAME, 7).stacked();

fn method() -> VideoMaeConfig {
    let encoder = ClipVitConfig::new(ClipShape::new(FRAME, 4), 2, 4, 16, 2, 2).with_stride(2);
    VideoMaeConfig::new(encoder)
        .with_decoder(ClipDecoderConfig::new().with_width(8).with_depth(1).with_heads(2))
        .with_mask(ClipMaskConfig::Tube { ratio: 0.75 })
}

fn data(image: ImageShape) -> ImageData {
    let images = |count| -> Arc<dyn ImageDataset> { waves(image, count) };
    ImageData::new(images(24), images(12), ["even", "odd"].map(String::from).to_vec()).unwrap()
}

fn run(out: &Path, epochs: usize) -> Run {
    let mut run = Run::new(data(CLIP), out, &device());
    (run.batch_size, run.workers) = (8, 0);
    run.recipe = Some(recipe(epochs).with_ema(None));
    run
}

fn source<B: Backbone + Clone + 'static>(path: &Path) -> LoadedBackbone<B> {
    let source = BackboneSource::Folder(path.into());
    source.load::<BuiltIn, B>(None, &encoder(FRAME), 3, &device()).unwrap()
}

fn weights_of<M: Module>(module: &M) -> Vec<f32> {
    struct All(Vec<f32>);
    impl burn::module::ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut all = All(Vec::new());
    module.visit(&mut all);
    all.0
}

#[test]
fn a_run_ends_at_the_same_bits_with_any_workers_and_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let whole = run(&path("whole"), 4).pretrain(&method()).unwrap();
    let losses_of = losses(&whole.history);
    assert!(losses_of[3][1] < losses_of[0][1], "{losses_of:?}");
    let metrics = &whole.history.epochs[3].valid_metrics;
    assert!(metrics["copying"] > 0.0, "{metrics:?}");
    for file in ["reconstruction.png", "reconstruction.gif", "loss_curve.png", "config.toml"] {
        assert!(fs::metadata(path("whole").join(file)).unwrap().len() > 0, "{file}");
    }
    let mut parallel = run(&path("parallel"), 4);
    parallel.workers = 2;
    let parallel = parallel.pretrain(&method()).unwrap();
    assert_eq!(losses(&parallel.history), losses_of);

    let mut stopped = run(&path("resumed"), 4);
    stopped.interrupt = Interrupt::default();
    stopped.budget = None;
    stopped.saves.steps = 5;
    stopped.interrupt.request();
    assert!(stopped.pretrain(&method()).unwrap().interrupted);
    let mut resumed = run(&path("resumed"), 4);
    resumed.resume = true;
    let resumed = resumed.pretrain(&method()).unwrap();
    assert_eq!(losses(&resumed.history), losses_of);
    assert!(weights_of(&resumed.task) == weights_of(&whole.task));
}

#[test]
fn an_encoder_of_clips_is_measured_fine_tuned_and_exported_like_one_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut probed = run(&path("run"), 1);
    probed.probe = 1;
    let trained = probed.pretrain(&method()).unwrap();
    assert!(trained.history.epochs[0].valid_metrics.contains_key("knn_top1"));

    // Two frames more than a model reads: clips have a beginning and an end.
    let longer = ClipShape::new(FRAME, 9).stacked();
    let (encoder, data) = (source::<ClipVit>(&path("run")), data(longer));
    assert_eq!((encoder.image.frames, encoder.image.stride), (4, 2));
    let mut evaluation = Evaluation::new(&encoder, &data, &device());
    (evaluation.batch_size, evaluation.workers) = (8, 0);
    let plan = Plan {
        protocol: Protocol::Linear,
        baselines: true,
        tuning: FineTuning::small_images(1),
        out: path("evaluate"),
    };
    evaluation.run(&plan, &mut |_| {}).unwrap();

    // Several views of a clip are averaged: of these the first and the last are its two ends.
    let features = |evaluation: &Evaluation<ClipVit>| {
        let split = evaluation.splits(Subject::Given).unwrap().remove(0);
        split.test.values.into_data().iter::<f32>().collect::<Vec<_>>()
    };
    let middle = features(&evaluation);
    evaluation.clip_views = 2;
    let both = features(&evaluation);
    assert_ne!(both, middle);

    let tuning = FineTuning { drop_path: 0.0, ..FineTuning::small_images(1) };
    evaluation.fine_tune_in(&tuning, &path("tuned"), false).unwrap();
    let tuned = RunFolder::new(path("tuned")).load_fine_tuned::<BuiltIn, ClipVit>(&device());
    assert_eq!(tuned.unwrap().config.encoder, Some(EncoderSpec::ClipVit(method().encoder)));

    let class = |whole: bool, out: &Path| {
        let export = Export::new().with_whole(whole);
        export.run::<BuiltIn>(&path("run"), out, &device()).unwrap().class
    };
    assert_eq!(class(true, &path("whole")), Some("VideoMAEForPreTraining"));
    assert_eq!(class(false, &path("encoder")), Some("VideoMAEModel"));
    for name in ["whole", "encoder"] {
        let back = source::<ClipVit>(&path(name));
        assert!(weights_of(&back.backbone) == weights_of(&encoder.backbone));
        assert_eq!(back.statistics, encoder.statistics);
    }
    let readme = fs::read_to_string(path("encoder").join("README.md")).unwrap();
    assert!(readme.contains("clips: 4 frames"), "{readme}");
}

#[test]
fn a_run_begins_with_published_weights_and_an_image_vit_inflates() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    run(&path("run"), 1).pretrain(&method()).unwrap();
    let export = Export::new().with_whole(true);
    export.run::<BuiltIn>(&path("run"), &path("published"), &device()).unwrap();
    let report = |out: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(path(out).join("init_from.json")).unwrap()).unwrap()
    };
    for name in ["run", "published"] {
        let out = format!("after {name}");
        let mut after = run(&path(&out), 1);
        after.init_from = Some(InitFrom::new(path(name)));
        after.pretrain(&method()).unwrap();
        assert_eq!(report(&out)["loaded"], "all", "{}", report(&out));
    }

    // The qkv biases of clips are those of ViTs in general.
    let vit = encoder(FRAME);
    let images = vit.init_visible(&mut weights(5));
    save_vit(path("vit"), &images, &vit).unwrap();
    let mut method = method();
    (method.encoder.qkv_bias, method.encoder.norm_epsilon) = (vit.qkv_bias, vit.norm_epsilon);
    let mut inflated = run(&path("inflated"), 1);
    inflated.recipe = Some(recipe(1).with_base_lr(1e-12).with_ema(None));
    inflated.init_from = Some(InitFrom::new(path("vit")).with_load(Some(InitPart::Encoder)));
    let task = inflated.pretrain(&method).unwrap().task;
    let expected = inflate(&images, method.encoder.clip, 2).unwrap().model;
    let [found, expected] = [&task.encoder, &expected].map(weights_of);
    let differs = found.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-5);
    assert!(!differs && found.len() == expected.len());
    let resized = report("inflated")["resized"].to_string();
    assert!(resized.contains("encoder.patch_embed.weight [48, 16] -> [96, 16]"), "{resized}");
}

#[test]
fn misfed_clips_are_refused_by_name_and_an_image_method_sees_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |image: ImageShape| {
        let mut run = run(&folder.path().join("refused"), 1);
        run.data = data(image);
        run.pretrain(&method()).unwrap_err().to_string()
    };
    let short = refused(ClipShape::new(FRAME, 6).stacked());
    assert!(short.contains("sample ") && short.contains("4 frames, 2 apart, need 7"), "{short}");
    let still = refused(FRAME);
    assert!(still.contains("reads clips of 4 frames, this is an image"), "{still}");
    // Any size is cropped and resized.
    let mut odd = run(&folder.path().join("odd"), 1);
    odd.data = data(ClipShape::new(ImageShape::new(3, 19, 23), 9).stacked());
    odd.pretrain(&method()).unwrap();

    let mae: MaeConfig = mae(FRAME);
    run(&folder.path().join("mae"), 1).pretrain(&mae).unwrap();
    let encoder = source::<burn_mim::encoder::VitBody>(&folder.path().join("mae"));
    let features = |data: &ImageData| {
        let mut evaluation = Evaluation::new(&encoder, data, &device());
        (evaluation.batch_size, evaluation.workers) = (8, 0);
        evaluation.splits(Subject::Given).unwrap().remove(0).test.values.into_data()
    };
    // In evaluation what is seen is the frame in the middle, as if there were no others.
    let middle = |split: &Arc<dyn ImageDataset>| -> Arc<dyn ImageDataset> {
        let frame = |index| {
            let Sample { image, label } = split.get(index).unwrap();
            Sample { image: image.frame(3), label }
        };
        Arc::new(InMemDataset::new((0..split.len()).map(frame).collect()))
    };
    let clips = data(CLIP);
    let frames = ImageData {
        train: middle(&clips.train),
        test: middle(&clips.test),
        shape: FRAME,
        ..clips.clone()
    };
    features(&clips).assert_eq(&features(&frames), true);
}

#[test]
fn published_clips_are_read_where_images_are() {
    let folder = tempfile::tempdir().unwrap();
    let config = method();
    let model = config.init(&mut weights(2));
    burn_mim::checkpoint::save_videomae(folder.path(), &model, &config).unwrap();
    let loaded = source::<ClipVit>(folder.path());
    assert_eq!(loaded.image, ImageShape { stride: 1, ..config.image() });
    let opened = Transformers::open(folder.path()).unwrap();
    opened.videomae(LoadOptions { strict: true, resize: false }, &device()).unwrap();
}
