//! Tokenizers in runs: restarts, the frozen one inside BEiT, and collapse.
#![cfg(all(feature = "train", feature = "viz"))]

mod common;

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use burn_mim::data::augment::{Augmentation, Interpolation};
use burn_mim::data::{ChannelStatistics, ImageData, Loader, LoaderConfig, MimCollate};
use burn_mim::encoder::VitBody;
use burn_mim::method::{
    BeitV2Config, DvaeSchedule, DvaeTask, Method, PixelObjective, Teacher, TokenizerCollate,
    TokenizerRecipe, VqTask, load_tokenizer,
};
use burn_mim::nn::InitialWeights;
use burn_mim::run::Run;
use burn_mim::target::tokenizer::{
    AnyTokenizer, DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig,
};
use burn_mim::train::{Interrupt, RunFolder};
use burn_mim::{
    Beit, BeitConfig, ImageShape, MaskConfig, PretextTask, Tokenizer, TokenizerBatch, VitConfig,
};
use common::{device, losses, pretraining, recipe, waves, weights};

const IMAGE: ImageShape = ImageShape::new(2, 8, 12);

fn vq() -> VqConfig {
    let encoder = VitConfig::new(IMAGE, 4, 8, 1, 2).with_class_token(false);
    VqConfig::new(encoder).with_vocabulary(6).with_code_width(4).with_decay(0.8)
}

fn dvae() -> DvaeConfig {
    DvaeConfig::new(IMAGE)
        .with_patch(4)
        .with_vocabulary(6)
        .with_hidden(4)
        .with_blocks(1)
        .with_code_width(4)
}

fn tokenizer_loader(training: bool, noise: bool) -> Loader<TokenizerCollate> {
    let mut collate = TokenizerCollate::new(IMAGE, Augmentation::none()).unwrap();
    if noise {
        collate = collate.with_noise(6, 6);
    }
    let config = LoaderConfig { batch_size: 8, seed: 5, workers: 1, training };
    let images = waves(IMAGE, if training { 24 } else { 8 });
    Loader::new(images, collate, config, &device()).unwrap()
}

/// Trains in one go, then again stopped after every step and resumed.
fn stopped_equals_whole<T: PretextTask<Batch = TokenizerBatch>>(task: impl Fn() -> T, noise: bool) {
    let (train, valid) = (tokenizer_loader(true, noise), tokenizer_loader(false, false));
    let folder = tempfile::tempdir().unwrap();
    let run = pretraining(folder.path(), recipe(2));
    let whole = losses(&run.run(task(), &train, &valid).unwrap().history);
    let folder = tempfile::tempdir().unwrap();
    for stops in 0.. {
        let interrupt = Interrupt::default();
        interrupt.request();
        let run = pretraining(folder.path(), recipe(2)).resume(stops > 0).interrupt(interrupt);
        let trained = run.run(task(), &train, &valid).unwrap();
        if !trained.interrupted {
            assert_eq!(losses(&trained.history), whole);
            assert_eq!(stops, 5);
            break;
        }
    }
}

#[test]
fn a_codebook_that_follows_its_cells_survives_a_restart_to_the_bit() {
    let task =
        || VqTask { tokenizer: vq().init(&mut weights(3)), objective: PixelObjective { patch: 4 } };
    stopped_equals_whole(task, false);
}

#[test]
fn noise_temperature_and_kl_weight_survive_a_restart_to_the_bit() {
    let task = || DvaeTask::new(dvae().init(&mut weights(3)), DvaeSchedule::new());
    stopped_equals_whole(task, true);
}

fn beit() -> (BeitConfig, Beit) {
    let tokenizer = TokenizerConfig::Vq(vq());
    let config = BeitConfig::new(VitConfig::new(IMAGE, 4, 8, 1, 2), tokenizer)
        .with_mask(MaskConfig::blocks(75.0 / 196.0, 1));
    let tokenizer = config.tokenizer.init(&mut weights(7));
    let beit = config.init(tokenizer, &[0.5; 2], &[0.25; 2], &mut weights(3));
    (config, beit)
}

fn beit_loader(config: &BeitConfig, training: bool) -> Loader<MimCollate> {
    let statistics = ChannelStatistics { mean: vec![0.5; 2], std: vec![0.25; 2] };
    let mask = config.mask().unwrap();
    let collate = MimCollate::new(IMAGE, &statistics, Augmentation::none(), mask)
        .unwrap()
        .with_target_view(config.view(), Interpolation::Lanczos, &ChannelStatistics::none(2))
        .unwrap();
    let options = LoaderConfig { batch_size: 8, seed: 5, workers: 0, training };
    Loader::new(waves(IMAGE, 24), collate, options, &device()).unwrap()
}

fn weights_of(beit: &Beit) -> Vec<TensorData> {
    struct Values(Vec<TensorData>);
    impl burn::module::ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.push(param.val().into_data());
        }
    }
    let mut values = Values(vec![]);
    beit.target.tokenizer.visit(&mut values);
    values.0
}

#[test]
fn beit_neither_trains_nor_decays_nor_averages_its_tokenizer_and_keeps_it_in_checkpoints() {
    let (config, beit) = beit();
    let before = weights_of(&beit);
    let folder = tempfile::tempdir().unwrap();
    let (train, valid) = (beit_loader(&config, true), beit_loader(&config, false));
    let recipe = recipe(2).with_weight_decay(0.5);
    let run = pretraining(folder.path(), recipe);
    let trained = run.run(beit, &train, &valid).unwrap();
    assert!(before == weights_of(&trained.task));
    let [first, last] = [0, 1].map(|epoch: usize| &trained.history.epochs[epoch]);
    assert!(last.train_loss < first.train_loss, "{first:?} {last:?}");
    for name in ["token_accuracy", "most_frequent_token", "perplexity"] {
        assert!(last.valid_metrics.contains_key(name), "{name}");
    }
    // A model of other weights, and of another tokenizer, is the run's again.
    let tokenizer = config.tokenizer.init(&mut weights(70));
    let other = config.init(tokenizer, &[0.5; 2], &[0.25; 2], &mut weights(30));
    let loaded = RunFolder::new(folder.path()).load_into(other).unwrap();
    assert!(before == weights_of(&loaded));
}

fn run_in(out: &Path) -> Run {
    let data = ImageData::new(waves(IMAGE, 24), waves(IMAGE, 8), vec![]).unwrap();
    let mut run = Run::new(data, out, &device());
    (run.batch_size, run.workers) = (8, 0);
    (run.recipe, run.augmentation) = (Some(recipe(1)), Some(Augmentation::none()));
    run
}

#[test]
fn a_fitted_tokenizer_is_read_back_with_the_same_tokens() {
    let out = tempfile::tempdir().unwrap();
    let recipe = tokenizer_recipe();
    let palette = PaletteConfig::new(IMAGE).with_patch(4).with_vocabulary(6);
    for config in [TokenizerConfig::Palette(palette), TokenizerConfig::Vq(vq())] {
        let run = run_in(&out.path().join(config.name()));
        let fitted = run.fit_tokenizer(config.clone(), &recipe).unwrap().unwrap();
        let images = Tensor::ones([1, 2, 8, 12], &device()) * 0.3;
        for path in [run.out.clone(), run.out.join("tokenizer.bpk")] {
            let (read, tokenizer) = load_tokenizer(&path, &device()).unwrap();
            assert_eq!(read, config);
            let ids = tokenizer.tokenize(images.clone()).into_data();
            ids.assert_eq(&fitted.tokenizer.tokenize(images.clone()).into_data(), true);
        }
        for file in ["reconstruction.png", "metrics.json"] {
            assert!(run.out.join(file).is_file(), "{file}");
        }
    }
    let message = load_tokenizer(out.path(), &device()).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json"), "{message}");
}

fn tokenizer_recipe() -> TokenizerRecipe {
    TokenizerRecipe {
        augmentation: Augmentation::none(),
        recipe: recipe(1),
        schedule: DvaeSchedule::new(),
    }
}

/// A teacher as it is loaded: of 4 × 4 pixels a patch, unless another side is asked for.
fn teacher(image: ImageShape, patch: usize) -> Teacher<VitBody> {
    let config = VitConfig::new(image, patch, 8, 1, 2);
    let backbone = VitBody::new(&config, &mut InitialWeights::new(1, &device()));
    Teacher { backbone, image, statistics: None, title: "random".into() }
}

#[test]
fn a_tokenizer_of_a_teachers_features_is_fitted_kept_and_trained_on() {
    let out = tempfile::tempdir().unwrap();
    let run = run_in(&out.path().join("tokenizer"));
    let fitted = run
        .distil_tokenizer(vq(), teacher(IMAGE, 4), &tokenizer_recipe())
        .unwrap()
        .expect("nobody stops it");
    assert_eq!((fitted.config.decodes(), fitted.report.reconstruction), (false, None));
    let (config, _) = load_tokenizer(&run.out, &device()).unwrap();
    assert_eq!(config, fitted.config);
    let encoder = VitConfig::new(IMAGE, 4, 8, 2, 2);
    let beit = BeitConfig::new(encoder, config)
        .with_mask(MaskConfig::blocks(75.0 / 196.0, 1))
        .with_tokenizer_folder(Some(run.out));
    let run = run_in(&out.path().join("v1"));
    run.pretrain(&beit).unwrap();
    assert_trained::<BeitConfig>(&run.out, "BEiT ViT 8×2, patch 4");
    let run = run_in(&out.path().join("v2"));
    run.pretrain(&BeitV2Config::new(beit).with_early_blocks(1)).unwrap();
    assert_trained::<BeitV2Config>(&run.out, "BEiT v2 ViT 8×2, patch 4");
}

/// A run left its picture, and is found again as an encoder.
fn assert_trained<M: Method>(out: &Path, title: &str) {
    assert!(out.join("reconstruction.png").is_file());
    let folder = RunFolder::new(out);
    let encoder = folder.load::<M>(&device()).unwrap().into_encoder(&folder);
    assert_eq!((encoder.title.as_str(), encoder.image), (title, IMAGE));
}

#[test]
fn a_teacher_of_other_images_or_of_another_grid_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let message = |teacher: Teacher<VitBody>| {
        let run = run_in(out.path());
        let fitted = run.distil_tokenizer(vq(), teacher, &tokenizer_recipe());
        fitted.unwrap_err().to_string()
    };
    let other = message(teacher(ImageShape::new(2, 16, 24), 8));
    assert!(other.contains("reads 2×16×24") && other.contains("the tokenizer 2×8×12"), "{other}");
    let other = message(teacher(IMAGE, 2));
    assert!(other.contains("4×6") && other.contains("the tokenizer 2×3"), "{other}");
}

#[test]
fn a_dvae_begins_with_all_its_tokens_in_use() {
    let out = tempfile::tempdir().unwrap();
    let recipe = TokenizerRecipe { recipe: recipe(1).with_base_lr(1e-9), ..tokenizer_recipe() };
    let config = TokenizerConfig::Dvae(dvae());
    let run = run_in(out.path());
    let fitted = run.fit_tokenizer(config, &recipe).unwrap().unwrap();
    let usage = &fitted.report.usage;
    assert_eq!(usage.used(), 6, "{usage}");
}

#[test]
fn beit_is_not_trained_on_a_collapsed_tokenizer() {
    let out = tempfile::tempdir().unwrap();
    let vq = vq().with_vocabulary(64);
    let config = TokenizerConfig::Vq(vq);
    let run = run_in(&out.path().join("tokenizer"));
    run.fit_tokenizer(config.clone(), &tokenizer_recipe()).unwrap().unwrap();
    // All codes become one: the first of equals is always taken.
    let (_, tokenizer) = load_tokenizer(&run.out, &device()).unwrap();
    let AnyTokenizer::Vq(mut tokenizer) = tokenizer else { panic!("it is a {}", config.name()) };
    tokenizer.codes = tokenizer.codes.map(|codes| codes.ones_like());
    AnyTokenizer::Vq(tokenizer).into_record().save(run.out.join("tokenizer.bpk")).unwrap();
    std::fs::remove_file(run.out.join("tokenizer.manifest.json")).unwrap();
    let beit = BeitConfig::new(VitConfig::new(IMAGE, 4, 8, 1, 2), config)
        .with_mask(MaskConfig::blocks(75.0 / 196.0, 1))
        .with_tokenizer_folder(Some(run.out.clone()));
    let run = run_in(&out.path().join("beit"));
    let message = run.pretrain(&beit).unwrap_err().to_string();
    assert!(message.contains("has collapsed: 1 of 64 tokens are used"), "{message}");
    assert!(!out.path().join("beit/checkpoints").exists());
}
