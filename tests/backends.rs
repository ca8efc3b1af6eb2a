//! Every compiled backend computes what flex computes: losses, gradients and training steps from the
//! same weights, images and masks; and what one backend saved another loads. Flex is one of them: a
//! second time it computes the same bits.
//!
//! ```text
//! cargo test --features ndarray,wgpu --test backends    # .ci/wgpu does this without a GPU
//! ```
//!
//! A task is one test that calls [`agree`] with how its model is made, and its batch.
#![cfg(all(feature = "train", feature = "viz", feature = "flex"))]

mod common;

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};
use burn_mim::kernel::byte_images;
use burn_mim::nn::InitialWeights;
use burn_mim::run::device_named;
use burn_mim::target::tokenizer::DvaeConfig;
use burn_mim::train::{Interrupt, Precision, Pretraining, Recipe, optimizer};
use burn_mim::{
    BeitConfig, ConvNextV2Config, FcMaeConfig, ImageShape, MaskConfig, MaskStrategy, MimBatch,
    PretextTask, Result, SimMimConfig, SwinV2Config, TokenizerConfig, VitConfig,
};
use common::{IMAGE, encoder, loader_on, losses, mae, noise, pretraining, recipe, simmim, swin};

/// A backend compared with flex.
struct Backend {
    name: &'static str,
    /// How far losses and gradients may be from flex's, over the largest of their tensor: a backend
    /// sums in its own order, and a GPU rounds `exp` and `erf` in its own way. Weights may be ten
    /// times as far: AdamW divides each gradient by its own size, and so enlarges small ones' errors.
    tolerance: f32,
}

/// Those compiled in.
const BACKENDS: &[Backend] = &[
    Backend { name: "flex", tolerance: 0.0 },
    #[cfg(feature = "ndarray")]
    Backend { name: "ndarray", tolerance: 3e-4 },
    #[cfg(feature = "wgpu-unfused")]
    Backend { name: "wgpu", tolerance: 3e-4 },
    #[cfg(feature = "cuda-unfused")]
    Backend { name: "cuda", tolerance: 3e-4 },
];

/// Steps of the optimizer.
const STEPS: usize = 3;

/// Named values of one kind.
type Tensors = Vec<(String, Vec<f32>)>;

/// Training loss, validation loss and learning rate of each epoch.
type Losses = Vec<[f64; 3]>;

/// What a task computes in a few steps.
struct Trace<T> {
    task: T,
    losses: Vec<f32>,
    gradients: Tensors,
    weights: Tensors,
}

#[derive(Default)]
struct Collect<'a> {
    path: Vec<String>,
    /// Whose gradients to collect; the weights themselves where there are none.
    gradients: Option<&'a GradientsParams>,
    found: Tensors,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val()),
        };
        if let Some(values) = values {
            self.found.push((self.path.join("."), values.into_data().try_to_vec().unwrap()));
        }
    }
}

fn weights_of<T: Module>(task: &T) -> Tensors {
    let mut collect = Collect::default();
    task.visit(&mut collect);
    collect.found
}

fn gradients_of<T: Module>(task: &T, gradients: &GradientsParams) -> Tensors {
    let mut collect = Collect { gradients: Some(gradients), ..Default::default() };
    task.visit(&mut collect);
    collect.found
}

/// Three steps of `task` on one batch.
fn trace<T: PretextTask<Batch = MimBatch>>(mut task: T, batch: &MimBatch) -> Trace<T> {
    // With AdamW's own epsilon a gradient that is zero but for rounding makes a whole step.
    let mut optimizer = optimizer(&task, &Recipe::mae().with_epsilon(1e-3));
    let (mut losses, mut first) = (vec![], None);
    for _ in 0..STEPS {
        let loss = task.loss(batch.clone()).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &task);
        first.get_or_insert_with(|| gradients_of(&task, &gradients));
        losses.push(loss.into_scalar::<f32>());
        task = optimizer.step(1e-2, task, gradients);
    }
    losses.push(task.loss(batch.clone()).loss.into_scalar());
    let weights = weights_of(&task);
    Trace { task, losses, gradients: first.expect("there is a step"), weights }
}

/// The largest difference between `ours` and `flex`, over the largest of the latter or, where all
/// are smaller, 1e-3: a gradient may be zero but for rounding.
fn distance(ours: &[f32], flex: &[f32]) -> f32 {
    assert_eq!(ours.len(), flex.len());
    let largest = flex.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let pairs = ours.iter().zip(flex);
    pairs.fold(0.0f32, |far, (a, b)| far.max((a - b).abs())) / largest.max(1e-3)
}

/// Says how far `ours` is from `flex`, and panics where that is beyond the tolerance.
fn close(what: &str, tolerance: f32, ours: &Tensors, flex: &Tensors) {
    let mut worst = (0.0, "");
    for ((path, ours), (other, flex)) in ours.iter().zip(flex) {
        assert_eq!(path, other);
        assert!(ours.iter().all(|value| value.is_finite()), "{what} of {path}");
        worst = if distance(ours, flex) > worst.0 { (distance(ours, flex), path) } else { worst };
    }
    assert_eq!(ours.len(), flex.len());
    println!("{what} within {:.1e} ({})", worst.0, worst.1);
    assert!(worst.0 <= tolerance, "{what} of {} are {:e} off", worst.1, worst.0);
}

/// Every backend agrees with flex on a task, and each loads what the other saved.
fn agree<T: PretextTask<Batch = MimBatch>>(
    name: &str,
    model: impl Fn(&mut InitialWeights) -> T,
    batch: impl Fn(&Device) -> MimBatch,
) {
    let flex = device_named("flex").unwrap();
    let expected =
        trace(model(&mut InitialWeights::new(3, &flex.clone().autodiff())), &batch(&flex));
    assert!(expected.losses[STEPS] < expected.losses[0], "{:?}", expected.losses);
    for backend in BACKENDS {
        let device = device_named(backend.name).unwrap();
        let ours =
            trace(model(&mut InitialWeights::new(3, &device.clone().autodiff())), &batch(&device));
        let Backend { name: on, tolerance } = *backend;
        let losses = |losses: &[f32]| vec![("every step".to_string(), losses.to_vec())];
        let (our_losses, their_losses) = (losses(&ours.losses), losses(&expected.losses));
        close(&format!("{on}: {name}: losses"), tolerance, &our_losses, &their_losses);
        let what = format!("{on}: {name}: gradients");
        close(&what, tolerance, &ours.gradients, &expected.gradients);
        let what = format!("{on}: {name}: weights");
        close(&what, 10.0 * tolerance, &ours.weights, &expected.weights);
        assert_eq!(ours.weights, moved(ours.task, model(&mut InitialWeights::new(4, &flex))));
        let there = moved(expected.task.clone(), model(&mut InitialWeights::new(4, &device)));
        assert_eq!(expected.weights, there);
    }
}

/// The weights of `to` once it has loaded what `from` saved.
fn moved<T: Module>(from: T, to: T) -> Tensors {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    from.into_record().save(&path).unwrap();
    weights_of(&to.try_load_record(ModuleRecord::load(&path).unwrap()).unwrap())
}

/// Two images of noise on `device`, with masks drawn from `strategy`.
fn masked(strategy: &impl MaskStrategy, image: ImageShape, device: &Device) -> MimBatch {
    common::masked(noise(image, 2), strategy).to_device(device)
}

#[test]
fn images_of_eight_bits_are_the_same_bits_on_every_backend() {
    let tables: Vec<[f32; 256]> = [[0.485, 0.229], [0.456, 0.224], [0.406, 0.225]]
        .map(|[mean, std]: [f32; 2]| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std))
        .into();
    let bytes: Vec<u8> = (0..2 * 3 * 16 * 16).map(|at| (at * 7 % 256) as u8).collect();
    let values = |name: &str| {
        let device = device_named(name).unwrap();
        let images = byte_images(bytes.clone(), &tables, [2, 3, 16, 16], &device);
        images.into_data().iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()
    };
    let expected = values("flex");
    assert!(BACKENDS.iter().all(|backend| values(backend.name) == expected));
}

#[test]
fn mae_is_the_same_on_every_backend() {
    let config = mae(IMAGE);
    let mask = config.mask().unwrap();
    agree("MAE", |weights| config.init(weights), |device| masked(&mask, IMAGE, device));
}

#[test]
fn simmim_on_vit_is_the_same_on_every_backend() {
    let config = simmim(IMAGE);
    // Dropped paths are drawn on the device, by a generator of its own.
    let encoder = VitConfig { drop_path: 0.0, ..config.encoder.clone() };
    let config = SimMimConfig { encoder, ..config };
    let mask = config.mask().unwrap();
    agree("SimMIM on ViT", |weights| config.init(weights), |device| masked(&mask, IMAGE, device));
}

#[test]
fn simmim_on_swin_is_the_same_on_every_backend() {
    let config =
        SimMimConfig::new(swin(IMAGE)).with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 });
    let mask = config.mask().unwrap();
    agree("SimMIM on Swin", |weights| config.init(weights), |device| masked(&mask, IMAGE, device));
}

#[test]
fn simmim_on_swin_v2_is_the_same_on_every_backend() {
    let encoder = SwinV2Config::new(swin(IMAGE)).with_branch_norm(1.0);
    let config = SimMimConfig::new(encoder).with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 });
    let mask = config.mask().unwrap();
    agree(
        "SimMIM on Swin-v2",
        |weights| config.init(weights),
        |device| masked(&mask, IMAGE, device),
    );
}

#[test]
fn fcmae_is_the_same_on_every_backend() {
    let encoder = ConvNextV2Config::new(IMAGE, 2, vec![8, 12], vec![1, 1]);
    let config = FcMaeConfig::new(encoder);
    let config = FcMaeConfig { decoder: config.decoder.clone().with_width(16), ..config };
    let mask = config.mask().unwrap();
    agree("FCMAE", |weights| config.init(weights), |device| masked(&mask, IMAGE, device));
}

#[test]
fn beit_is_the_same_on_every_backend() {
    let dvae = DvaeConfig::small_images(IMAGE).with_vocabulary(16).with_decoder(false);
    let config = BeitConfig::new(encoder(IMAGE), TokenizerConfig::Dvae(dvae))
        .with_mask(MaskConfig::blocks(75.0 / 196.0, 1));
    let mask = config.mask().unwrap();
    let model = |weights: &mut InitialWeights| {
        let tokenizer = config.tokenizer.init(weights);
        config.init(tokenizer, &[0.5; 3], &[0.25; 3], weights)
    };
    agree("BEiT", model, |device| {
        let batch = masked(&mask, IMAGE, device);
        let pixels = (batch.images.clone() * 0.25 + 0.5).clamp(0.0, 1.0);
        MimBatch { target_view: Some(pixels), ..batch }
    });
}

/// The losses of a tiny MAE trained on a backend, in `folder`.
fn train(name: &str, folder: &Path, plan: impl Fn(Pretraining) -> Pretraining) -> Result<Losses> {
    let config = mae(IMAGE);
    let device = device_named(name)?;
    let [train, valid] = [true, false]
        .map(|training| loader_on(&device, IMAGE, config.mask().unwrap(), training, 0));
    let model = config.init(&mut InitialWeights::new(3, &device.autodiff()));
    Ok(losses(&plan(pretraining(folder, recipe(1))).run(model, &train, &valid)?.history))
}

fn near(ours: &Losses, flex: &Losses, tolerance: f64) -> bool {
    let mut pairs = ours.iter().flatten().zip(flex.iter().flatten());
    ours.len() == flex.len() && pairs.all(|(a, b)| (a - b).abs() <= tolerance * b.abs())
}

#[test]
fn a_run_begun_on_one_backend_goes_on_on_another() {
    let whole = tempfile::tempdir().unwrap();
    let whole = train("flex", whole.path(), |run| run).unwrap();
    let one_step = |run: Pretraining| {
        let interrupt = Interrupt::default();
        interrupt.request();
        run.interrupt(interrupt)
    };
    for Backend { name, tolerance } in BACKENDS {
        let folder = tempfile::tempdir().unwrap();
        train(name, folder.path(), one_step).unwrap();
        train("flex", folder.path(), |run| one_step(run).resume(true)).unwrap();
        let pieces = train(name, folder.path(), |run| run.resume(true)).unwrap();
        assert!(near(&pieces, &whole, f64::from(*tolerance)), "{name}: {pieces:?} for {whole:?}");
    }
}

#[test]
fn half_precision_trains_or_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let whole = train("flex", folder.path(), |run| run).unwrap();
    for Backend { name, .. } in BACKENDS {
        for precision in [Precision::Bf16, Precision::F16] {
            let folder = tempfile::tempdir().unwrap();
            match train(name, folder.path(), |run| run.precision(precision)) {
                Ok(half) => {
                    println!("{name}: trains in {precision}");
                    assert!(near(&half, &whole, 0.02), "{name}: {half:?} for {whole:?}");
                }
                Err(error) => {
                    println!("{error}");
                    let refusal = format!("does not compute in {precision}");
                    assert!(error.to_string().contains(&refusal), "{error}");
                    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
                }
            }
        }
    }
}

/// Where no adapter is what it was asked for, as on a machine without any driver.
#[cfg(feature = "wgpu-unfused")]
#[test]
fn a_gpu_that_is_not_there_is_an_error_and_not_a_panic() {
    const TEST: &str = "a_gpu_that_is_not_there_is_an_error_and_not_a_panic";
    const ASKED: &str = "CUBECL_WGPU_DEFAULT_DEVICE";
    const ABSENT: &str = "DiscreteGpu(99)";
    if std::env::var(ASKED).is_ok_and(|asked| asked == ABSENT) {
        let message = device_named("wgpu").unwrap_err().to_string();
        assert!(message.contains("the backend wgpu has nothing to run on: "), "{message}");
        return;
    }
    // The environment of this process is that of the other tests.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST])
        .env(ASKED, ABSENT)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}
