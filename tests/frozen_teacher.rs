//! Runs with a frozen teacher, EVA and MILAN: where it comes from, and that it stays as it is.
#![cfg(feature = "run")]

mod common;

use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_mim::data::ImageData;
use burn_mim::encoder::{AnyBackbone, BackboneConfig, VitBody};
use burn_mim::eval::FineTuning;
use burn_mim::method::{BuiltIn, FrozenTeacher, Method, Run};
use burn_mim::run::{BackboneSource, Draft, Evaluation};
use burn_mim::train::{Interrupt, Recipe, RunFolder};
use burn_mim::{
    DecoderConfig, EvaConfig, FeatureTarget, ImageShape, MaskConfig, MilanConfig, PretextTask,
    TeacherConfig, VitConfig,
};
use common::{IMAGE, device, encoder, losses, mae, waves};

fn images() -> ImageData {
    let names = ["even", "odd"].map(String::from).to_vec();
    ImageData::new(waves(IMAGE, 40), waves(IMAGE, 12), names).unwrap()
}

fn run(out: &Path) -> Run {
    let mut run = Run::new(images(), out, &device());
    run.recipe = Some(Recipe::mae().with_epochs(2).with_base_lr(1e-2).with_warmup_epochs(0.5));
    run.batch_size = 16;
    run.seed = 1;
    run
}

/// A trained masked autoencoder in `folder`, as a teacher.
fn teacher(folder: &Path) -> TeacherConfig {
    run(folder).pretrain(&mae(IMAGE)).unwrap();
    TeacherConfig::of(folder).unwrap()
}

/// Half as wide as the teacher.
fn student() -> VitConfig {
    VitConfig { width: 8, ..encoder(IMAGE) }
}

fn eva(teacher: TeacherConfig) -> EvaConfig {
    EvaConfig::new(student(), teacher).with_mask(MaskConfig::blocks(0.4, 2))
}

fn milan(teacher: TeacherConfig) -> MilanConfig {
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    MilanConfig::new(student(), teacher).with_decoder(decoder)
}

/// All numbers of a module.
#[derive(Default)]
struct Bits(Vec<u32>);

impl ModuleVisitor for Bits {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().into_data().iter::<f32>().map(f32::to_bits));
    }
}

fn bits<M: Module>(module: &M) -> Vec<u32> {
    let mut bits = Bits::default();
    module.visit(&mut bits);
    bits.0
}

fn body(target: &FeatureTarget<FrozenTeacher>) -> &VitBody {
    match &target.teacher.network {
        AnyBackbone::Vit(body) => body,
        other => panic!("{other:?}"),
    }
}

/// Trains `method` at once and in two parts; `target` gives its teacher. What is read back needs no
/// folder of the teacher.
fn learns_and_resumes<M: Method>(
    method: impl Fn(TeacherConfig) -> M,
    target: impl Fn(&M::Task) -> &FeatureTarget<FrozenTeacher>,
) {
    let folders = tempfile::tempdir().unwrap();
    let [of_teacher, whole, parts] = ["teacher", "whole", "parts"].map(|n| folders.path().join(n));
    let method = method(teacher(&of_teacher));
    let known = RunFolder::new(&of_teacher).load::<burn_mim::MaeConfig>(&device()).unwrap();
    let known = bits(&known.task.encoder.body);
    let trained = run(&whole).pretrain(&method).unwrap();
    assert_eq!(bits(body(target(&trained.task))), known);
    let metrics = &trained.history.last().unwrap().valid_metrics;
    assert!(metrics["target_spread"] > 0.0, "{metrics:?}");

    let mut first = run(&parts);
    // Asked from the start, a run stops after its first step.
    first.interrupt = Interrupt::default();
    first.interrupt.request();
    assert!(first.pretrain(&method).unwrap().interrupted);
    fs::remove_dir_all(&of_teacher).unwrap();
    let mut second = run(&parts);
    second.resume = true;
    let resumed = second.pretrain(&method).unwrap();
    assert_eq!(losses(&resumed.history), losses(&trained.history));
    let loaded =
        [&whole, &parts].map(|folder| RunFolder::new(folder).load::<M>(&device()).unwrap());
    let [one, other] = loaded.map(|run| run.task);
    assert_eq!(bits(&one), bits(&other));
    assert_eq!(bits(body(target(&one))), known);
}

#[test]
fn eva_learns_from_another_run_and_resumes_to_the_bit_without_it() {
    learns_and_resumes(eva, |task| &task.target);
}

#[test]
fn milan_learns_from_another_run_and_resumes_to_the_bit_without_it() {
    learns_and_resumes(milan, |task| &task.target);
}

#[test]
fn a_teacher_is_trained_first_where_none_is_given_and_is_found_by_a_resumed_run() {
    let out = tempfile::tempdir().unwrap();
    let image = ImageShape::square(3, 8);
    let config = EvaConfig::small_images(image).with_mask(MaskConfig::Mae { ratio: 0.5 });
    let config = EvaConfig { encoder: VitConfig { image, ..student() }, ..config };
    let begun = run(out.path());
    begun.interrupt.request();
    // Stopped while the teacher is trained.
    assert!(begun.pretrain(&config).is_err());
    let own = out.path().join("teacher");
    assert!(own.join("checkpoints").is_dir() && !out.path().join("checkpoints").exists());
    let mut resumed = run(out.path());
    resumed.resume = true;
    let trained = resumed.pretrain(&config).unwrap();
    let known = RunFolder::new(&own).load::<burn_mim::MaeConfig>(&device()).unwrap();
    assert_eq!(bits(body(&trained.task.target)), bits(&known.task.encoder.body));
    // The same teacher, given by its folder.
    assert_eq!(TeacherConfig::of(&own).unwrap().network, config.teacher.network);
}

#[test]
fn a_teacher_that_is_not_the_methods_is_refused_with_the_reason() {
    let folders = tempfile::tempdir().unwrap();
    let [of_teacher, out] = ["teacher", "out"].map(|name| folders.path().join(name));
    let teacher = teacher(&of_teacher);
    let refused = |teacher: TeacherConfig| {
        run(&out).pretrain(&eva(teacher)).map(|_| ()).unwrap_err().to_string()
    };
    let deeper = BackboneConfig::Vit(VitConfig { depth: 3, ..encoder(IMAGE) });
    let other = refused(TeacherConfig { network: deeper, ..teacher.clone() });
    assert!(other.contains("depth: 2") && other.contains("depth: 3"), "{other}");
    let mut statistics = teacher.clone();
    statistics.statistics.as_mut().unwrap().mean[0] += 0.1;
    let other = refused(statistics);
    assert!(other.contains("teacher.statistics"), "{other}");
    let none = refused(TeacherConfig { folder: None, ..teacher.clone() });
    assert!(none.contains("give its folder (teacher.folder, --teacher)"), "{none}");
    let missing = TeacherConfig::of(&out.join("nothing")).unwrap_err().to_string();
    assert!(missing.contains("no such file or folder with a teacher"), "{missing}");
}

#[test]
fn a_fine_tuned_encoder_is_a_teacher_too() {
    let folders = tempfile::tempdir().unwrap();
    let [first, tuned, out] = ["first", "tuned", "out"].map(|name| folders.path().join(name));
    run(&first).pretrain(&mae(IMAGE)).unwrap();
    let source = BackboneSource::Folder(first.clone());
    let random = encoder(IMAGE);
    let loaded = source.load::<BuiltIn, VitBody>(None, &random, 0, &device()).unwrap();
    let data = images();
    let mut evaluation = Evaluation::new(&loaded, &data, &device());
    evaluation.batch_size = 16;
    evaluation.fine_tune_in(&FineTuning::small_images(1), &tuned, false).unwrap();
    let teacher = TeacherConfig::of(&tuned).unwrap();
    assert_eq!(teacher.network, TeacherConfig::of(&first).unwrap().network);
    let trained = run(&out).pretrain(&eva(teacher)).unwrap();
    let before = RunFolder::new(&first).load::<burn_mim::MaeConfig>(&device()).unwrap();
    assert_ne!(bits(body(&trained.task.target)), bits(&before.task.encoder.body));
}

#[test]
fn published_weights_are_a_teacher_with_the_statistics_they_say() {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/clip_vision");
    let teacher = TeacherConfig::of(&clip).unwrap();
    let BackboneConfig::Vit(vit) = &teacher.network else { panic!("{teacher:?}") };
    assert!(vit.pre_norm && !vit.patch_bias);
    let student = VitConfig { positions: burn_mim::nn::Positions::Learned, ..student() };
    let student = VitConfig { image: vit.image, patch: vit.patch, ..student };
    let config = EvaConfig::new(student, teacher.clone()).with_mask(MaskConfig::Mae { ratio: 0.5 });
    let out = tempfile::tempdir().unwrap();
    let trained = run(out.path()).pretrain(&config).unwrap();
    assert_eq!(trained.task.target.teacher.network.num_params(), {
        teacher.network.init(&mut common::weights(0)).num_params()
    });
    let batch = run(out.path()).validation_batch(
        config
            .collate(&burn_mim::method::DataFacts::new(images().statistics), {
                burn_mim::data::augment::Augmentation::none()
            })
            .unwrap(),
    );
    assert!(trained.task.loss(batch.unwrap()).loss.into_scalar::<f32>().is_finite());
}

#[test]
fn a_flag_puts_the_teacher_with_its_sizes_and_statistics_among_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = teacher(folder.path());
    assert!(teacher.statistics.is_some() && teacher.folder.as_deref() == Some(folder.path()));
    let draft = |method: &str| {
        let mut draft = Draft::new();
        draft.put("method", Some(method), "the command").unwrap();
        draft.put("image_size", Some(16), "--image-size").unwrap();
        draft.knobs.teacher = Some(folder.path().into());
        draft
    };
    assert_eq!(draft("milan").method::<BuiltIn>().unwrap().0, "milan");
    let numbers = draft("milan").resolve::<MilanConfig>(3).unwrap().numbers;
    assert_eq!(numbers.teacher, teacher);
    // The run's own document repeats it without the flag.
    let mut half = draft("eva");
    half.set("numbers.encoder.depth=2").unwrap();
    let document = half.resolve::<EvaConfig>(3).unwrap();
    let left = folder.path().join("left.toml");
    fs::write(&left, document.to_toml().unwrap()).unwrap();
    let again = Draft::read(&left).unwrap();
    assert_eq!(again.resolve::<EvaConfig>(3).unwrap().numbers, document.numbers);
    let other = draft("mae").resolve::<burn_mim::MaeConfig>(3).unwrap_err().to_string();
    assert!(other.contains("--teacher: the numbers of this method have no `teacher`"), "{other}");
    let mut coarse = draft("eva");
    coarse.set("numbers.encoder.patch=8").unwrap();
    let grids = coarse.resolve::<EvaConfig>(3).unwrap_err().to_string();
    assert!(grids.contains("the teacher has 4×4 of them, the student 2×2"), "{grids}");
}
