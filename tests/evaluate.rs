//! Evaluation from end to end: encoders from wherever they are kept, every protocol, same bits.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Tensor;
use burn_mim::checkpoint::save_mae;
use burn_mim::data::ImageData;
use burn_mim::data::augment::Augmentation;
use burn_mim::data::source::{MemoryDataset, Shapes};
use burn_mim::encoder::VitBody;
use burn_mim::eval::{CellSource, FineTuning, Labels, Mixing, Pooling, RandomErasing};
use burn_mim::method::BuiltIn;
use burn_mim::run::{BackboneSource, Evaluation, LoadedBackbone, Plan, Protocol, Run, Scores};
use burn_mim::{
    Backbone, ImageShape, MaeConfig, MaskConfig, SimMimConfig, Swin, SwinConfig, VitConfig,
};

use common::{IMAGE, device, encoder, mae, noise, recipe, waves, weights};

fn data(image: ImageShape) -> ImageData {
    let names = ["even", "odd"].map(String::from).to_vec();
    ImageData::new(waves(image, 40), waves(image, 12), names).unwrap()
}

fn load<B: Backbone + Clone + 'static>(source: &str) -> burn_mim::Result<LoadedBackbone<B>> {
    let source: BackboneSource = source.parse().unwrap();
    source.load::<BuiltIn, B>(None, &encoder(IMAGE), 3, &device())
}

fn evaluation<'a, B: Backbone + Clone>(
    encoder: &'a LoadedBackbone<B>,
    data: &'a ImageData,
) -> Evaluation<'a, B> {
    let mut evaluation = Evaluation::new(encoder, data, &device());
    (evaluation.batch_size, evaluation.workers, evaluation.seed) = (8, 0, 1);
    evaluation
}

/// A run of batches of 8 in `out`, for some epochs on images as they are.
fn run_in(out: &Path, data: &ImageData, epochs: usize) -> Run {
    let mut run = Run::new(data.clone(), out, &device());
    (run.batch_size, run.workers) = (8, 0);
    run.recipe = Some(recipe(epochs).with_ema(None));
    run.augmentation = Some(Augmentation::none());
    run
}

fn plan(protocol: Protocol, out: &Path) -> Plan {
    let tuning = FineTuning {
        mixing: Mixing::papers(),
        erasing: RandomErasing { probability: 0.5 },
        ..FineTuning::small_images(1)
    };
    Plan { protocol, baselines: true, tuning, out: out.into() }
}

/// All scores without what the clock decides.
fn results(scores: &Scores) -> Vec<(String, String, Vec<f64>)> {
    let scores = scores.given.iter().chain(&scores.baselines);
    scores
        .map(|score| {
            let name = format!("{} {} {}", score.protocol, score.encoder, score.measure);
            (name, score.setting.clone(), score.values.clone())
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_scores_and_every_protocol_has_its_baseline() {
    let (encoder, data) = (load::<VitBody>("none").unwrap(), data(IMAGE));
    let run = |out: PathBuf| {
        let evaluation = evaluation(&encoder, &data);
        evaluation.run(&plan(Protocol::All, &out), &mut |_| ()).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path().join("a"));
    assert_eq!(results(&first), results(&run(folder.path().join("b"))));
    // Logistic regression of one penalty and of a chosen one, five numbers of neighbors on plain and
    // on standardized features, two shares of the labels, the best of the layers, both and the two
    // together, two attentive probes, RankMe and LiDAR, fine-tuning, and the last 0, 1 and 2 of two
    // blocks: forty images are too few for the papers' linear probe, and they have no label maps.
    // What is no encoder has only the first three.
    let (encoders, others) = (2 + 10 + 2 + 4 + 2 + 2 + 1 + 3, 2 + 10 + 2);
    assert_eq!((first.given.len(), first.baselines.len()), (encoders, encoders + 2 * others));
    let json = first.to_json();
    assert_eq!(json["protocol"], "all");
    assert_eq!((json["train_images"].as_u64(), json["test_images"].as_u64()), (Some(40), Some(12)));
    assert_eq!(
        (json["seed"].as_u64(), json["scores"].as_array().unwrap().len()),
        (Some(1), 2 * (encoders + others))
    );
    for number in ["top1", "top5", "std", "seconds"] {
        assert!(json[number].is_number(), "{number}");
    }
    let card = evaluation(&encoder, &data).score_card(&first, "waves").unwrap();
    assert_eq!(card.neighbors.len(), 2);
    assert!(card.to_html().unwrap().contains("tested on 12"));
}

#[test]
fn images_with_label_maps_are_segmented_and_those_without_are_named() {
    let shapes = |len, split| Arc::new(Shapes { seed: 0, len, split });
    let data = ImageData::new(shapes(40, 0), shapes(20, 1), Shapes::class_names()).unwrap();
    let vit = VitConfig::new(Shapes::SHAPE, 4, 16, 2, 2);
    let none: BackboneSource = "none".parse().unwrap();
    let encoder = none.load::<BuiltIn, VitBody>(None, &vit, 3, &device()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(Protocol::Dense, folder.path());
    let mut evaluation = evaluation(&encoder, &data);
    let last = evaluation.run(&plan, &mut |_| ()).unwrap();
    let measures: Vec<&str> = last.given.iter().map(|score| score.measure.as_str()).collect();
    assert_eq!(measures, ["mIoU %", "pixels %", "mIoU %", "pixels %"]);
    assert_eq!((last.baselines.len(), last.headline().test_images), (4, 20));
    // More than half of the pixels are ground: whoever guesses that is right there.
    let all = last.given.iter().chain(&last.baselines);
    assert!(all.clone().all(|score| (1.0..100.0).contains(&score.values[0])));
    let mut pixels = all.filter(|score| score.measure == "pixels %");
    assert!(pixels.all(|score| score.values[0] > 50.0));
    evaluation.cells = CellSource::Layers(vec![1, 2]);
    let layers = evaluation.run(&plan, &mut |_| ()).unwrap();
    assert_ne!(layers.given[0].values, last.given[0].values);

    let (encoder, data) = (load::<VitBody>("none").unwrap(), self::data(IMAGE));
    let message = self::evaluation(&encoder, &data).run(&plan, &mut |_| ()).unwrap_err();
    assert!(message.to_string().contains("sample 0: has no label map"), "{message}");
}

#[test]
fn a_run_is_probed_and_its_encoder_loads_as_it_was_trained() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data(IMAGE));
    let out = folder.path().join("run");
    let mut run = run_in(&out, &data, 2);
    run.probe = 2;
    let config = mae(IMAGE);
    let trained = run.pretrain(&config).unwrap();
    let probed: Vec<bool> = (trained.history.epochs.iter())
        .map(|epoch| epoch.valid_metrics.contains_key("knn_top1"))
        .collect();
    assert_eq!(probed, [false, true]);
    // Both are at most the width, which is 16.
    let last = &trained.history.epochs[1].valid_metrics;
    assert!(["rank_me", "lidar"].iter().all(|name| (1.0..16.1).contains(&last[*name])), "{last:?}");

    let expected = trained.task.encoder.represent(noise(IMAGE, 2)).tokens.into_data();
    let same = |loaded: &VitBody| {
        let tokens: Tensor<3> = loaded.represent(noise(IMAGE, 2)).tokens;
        tokens.into_data().assert_eq(&expected, true);
    };
    let loaded = load(&out.display().to_string()).unwrap();
    same(&loaded.backbone);
    assert_eq!(loaded.title, "MAE ViT 16×2, patch 4");
    assert_eq!(loaded.statistics, Some(data.statistics.clone()));

    let exported = folder.path().join("exported");
    save_mae(&exported, &trained.task.autoencoder(), &config).unwrap();
    let loaded = load(&exported.display().to_string()).unwrap();
    same(&loaded.backbone);
    assert_eq!(
        (loaded.title.as_str(), loaded.statistics.clone()),
        ("ViTMAEForPreTraining ViT 16×2, patch 4", None)
    );
}

#[test]
fn a_swins_run_is_evaluated_and_fine_tuned_block_by_block() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data(IMAGE));
    let out = folder.path().join("run");
    let run = run_in(&out, &data, 1);
    let swin =
        SwinConfig { depths: vec![1, 1], heads: vec![1, 2], ..SwinConfig::small_images(IMAGE) };
    let config = SimMimConfig::new(swin.with_drop_path(0.1))
        .with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 });
    let trained = run.pretrain(&config).unwrap();
    let loaded = load::<Swin>(&out.display().to_string()).unwrap();
    let expected = trained.task.encoder.represent(noise(IMAGE, 2)).tokens.into_data();
    let tokens: Tensor<3> = loaded.backbone.represent(noise(IMAGE, 2)).tokens;
    tokens.into_data().assert_eq(&expected, true);
    let scores = evaluation(&loaded, &data).run(&plan(Protocol::Partial, &out), &mut |_| ());
    let settings: Vec<_> = scores.unwrap().given.into_iter().map(|score| score.setting).collect();
    assert_eq!(settings, ["last 0 blocks", "last block", "last 2 blocks"]);
}

#[test]
fn a_share_of_the_labels_is_all_that_is_learned_from() {
    let (encoder, data) = (load::<VitBody>("none").unwrap(), data(IMAGE));
    let folder = tempfile::tempdir().unwrap();
    let mut evaluation = evaluation(&encoder, &data);
    (evaluation.labels, evaluation.seeds) = (Labels::Share(0.2), 2);
    for protocol in [Protocol::Knn, Protocol::Linear, Protocol::FineTune] {
        let scores = evaluation.run(&plan(protocol, folder.path()), &mut |_| ()).unwrap();
        assert_eq!((scores.headline().train_images, scores.headline().results.len()), (8, 2));
    }
}

#[test]
fn a_part_of_the_built_in_images_holds_every_class_alike_whoever_takes_it() {
    use burn_mim::data::{DataOptions, DataSpec, ImageDataset};
    use burn_mim::eval::labelled_share;
    // Their classes come in turn, so that evenly spaced images would be of half of them.
    let train = |count| {
        let options = DataOptions::default().with_train_images(Some(count));
        DataSpec::Shapes.open(&options, &mut |_| {}).unwrap().train
    };
    let counts = |images: &Arc<dyn ImageDataset>| {
        let mut counts = [0; 10];
        (0..images.len()).for_each(|at| counts[images.label(at).unwrap().unwrap()] += 1);
        counts
    };
    let names = |images: &Arc<dyn ImageDataset>| -> Vec<_> {
        (0..images.len()).map(|at| images.name(at)).collect()
    };
    let (part, larger) = (train(50), train(200));
    assert_eq!((counts(&part), counts(&larger)), ([5; 10], [20; 10]));
    let larger = names(&larger);
    assert!(names(&part).iter().all(|name| larger.contains(name)));
    let share = labelled_share(&train(200), 0.1, 1).unwrap();
    assert_eq!(counts(&share), [2; 10]);
    assert_ne!(names(&share), names(&labelled_share(&train(200), 0.1, 2).unwrap()));
}

#[test]
fn what_cannot_be_evaluated_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = load::<VitBody>(&folder.path().display().to_string()).unwrap_err().to_string();
    assert!(message.contains("neither the checkpoints of a run nor the config.json"), "{message}");

    let encoder = load::<VitBody>("none").unwrap();
    let message = |data: &ImageData| evaluation(&encoder, data).validate().unwrap_err().to_string();
    let gray = message(&data(ImageShape::square(1, 16)));
    assert!(gray.ends_with("the encoder reads images of 3 channels, the data has 1"), "{gray}");
    let unlabelled = ImageData { class_names: Vec::new(), ..data(IMAGE) };
    assert!(message(&unlabelled).ends_with("no labels, and evaluation needs classes"));
    let unknown = ImageData { unknown_classes: vec!["emu".into()], ..data(IMAGE) };
    let said = message(&unknown);
    assert!(said.contains("the training split lacks classes of the test split: emu;"), "{said}");
    let bare = MemoryDataset::new(IMAGE, vec![0_u8; 2 * IMAGE.values()], None).unwrap();
    let said = message(&ImageData { test: Arc::new(bare), ..data(IMAGE) });
    assert!(said.contains("2 of the 2 test images have no label"), "{said}");
    let labelled = data(IMAGE);
    let mut none = evaluation(&encoder, &labelled);
    none.seeds = 0;
    assert!(none.validate().unwrap_err().to_string().ends_with("needs at least 1 seed, got 0"));
    let without = common::encoder(IMAGE).with_class_token(false);
    let source: BackboneSource = "none".parse().unwrap();
    let without = source.load::<BuiltIn, VitBody>(None, &without, 0, &device()).unwrap();
    let mut class_token = self::evaluation(&without, &labelled);
    class_token.pooling = Pooling::Both;
    let said = class_token.validate().unwrap_err().to_string();
    assert!(said.contains("the encoder has no class token"), "{said}");
    let mut cells = evaluation(&encoder, &labelled);
    cells.pooling = Pooling::Cells;
    let said =
        cells.run(&plan(Protocol::All, folder.path()), &mut |_| panic!("nothing is measured"));
    assert!(said.unwrap_err().to_string().contains("fine-tune with mean, class or both"));
    assert!(cells.run(&plan(Protocol::Knn, folder.path()), &mut |_| ()).is_ok());
}

#[test]
fn an_encoder_of_a_users_own_is_evaluated_too() {
    use burn_mim::eval::Classification;
    // Anything that is a `Backbone`: here the bare body of a ViT, without the enum around it.
    fn classifies<B: Backbone>(encoder: B) -> [usize; 2] {
        let task = Classification::new(encoder, Pooling::ClassToken, 5, &mut weights(0));
        task.logits(noise(IMAGE, 3)).dims()
    }
    let MaeConfig { encoder, .. } = mae(IMAGE);
    assert_eq!(classifies(encoder.init_visible(&mut weights(1))), [3, 5]);
    assert_eq!(classifies(encoder.init(&mut weights(1))), [3, 5]);
}

#[test]
fn a_repeated_evaluation_finds_its_fine_tuned_runs_again() {
    let (encoder, data) = (load::<VitBody>("none").unwrap(), data(IMAGE));
    let folder = tempfile::tempdir().unwrap();
    let stopped = burn_mim::train::Interrupt::default();
    stopped.request();
    let mut evaluation = evaluation(&encoder, &data);
    let plan = Plan { baselines: false, ..plan(Protocol::FineTune, folder.path()) };
    let listed = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let run = entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        assert_eq!(run.len(), 1, "{run:?}");
        let checkpoint = burn_mim::train::RunFolder::new(&run[0]).require_latest().unwrap();
        let written = checkpoint.path().join("model.bpk").metadata().unwrap().modified().unwrap();
        (checkpoint, written)
    };
    // Stopped after its first step, it goes on from there.
    let stop = evaluation.interrupt.clone();
    evaluation.interrupt = stopped;
    let error = evaluation.fine_tune(&plan.tuning, burn_mim::run::Subject::Given, &plan.out);
    assert!(matches!(error, Err(burn_mim::Error::Interrupted)));
    assert_eq!(listed().0.snapshot().step, 1);
    evaluation.interrupt = stop;
    let first = evaluation.run(&plan, &mut |_| ()).unwrap();
    let finished = listed();
    // Finished, it is not trained again.
    assert_eq!(results(&evaluation.run(&plan, &mut |_| ()).unwrap()), results(&first));
    assert_eq!(listed(), finished);
    // Another encoder has another run.
    let other: BackboneSource = "none".parse().unwrap();
    let other =
        other.load::<BuiltIn, VitBody>(None, &common::encoder(IMAGE), 4, &device()).unwrap();
    self::evaluation(&other, &data).run(&plan, &mut |_| ()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
