//! Mixed precision: steps in half precision train the same f32 weights to nearly the same losses.
#![cfg(feature = "train")]

mod common;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{DType, FloatDType, Tensor};
use burn_mim::train::{Precision, RunFolder};
use burn_mim::{MimBatch, PretextTask, SimMimConfig, TaskOutput};
use common::{
    IMAGE, loader, losses, mae, masked, noise, pretraining, recipe, simmim, swin, weights,
};

/// A task's loss and all its gradients as one vector, in f32 or in half precision.
fn step<T>(task: &T, batch: MimBatch, dtype: Option<FloatDType>) -> (f32, Vec<f32>)
where
    T: PretextTask<Batch = MimBatch>,
{
    let output = match dtype {
        None => task.loss(batch),
        Some(dtype) => task.loss_in(batch, dtype).unwrap(),
    };
    assert_eq!(output.loss.dtype(), DType::F32);
    let gradients = GradientsParams::from_grads((output.loss.clone() * 1024.0).backward(), task);
    let mut all = Gradients { gradients, values: vec![] };
    task.visit(&mut all);
    (output.loss.into_scalar(), all.values)
}

struct Gradients {
    gradients: GradientsParams,
    values: Vec<f32>,
}

impl burn::module::ModuleVisitor for Gradients {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        assert_eq!(gradient.dtype(), DType::F32);
        self.values.extend(gradient.into_data().iter::<f32>());
    }
}

fn nearly_the_same<T: PretextTask<Batch = MimBatch>>(task: &T, batch: &MimBatch) {
    let (loss, gradients) = step(task, batch.clone(), None);
    // Half the distance between two numbers next to 1: 8 and 11 bits of mantissa.
    for (dtype, rounding) in [(FloatDType::BF16, 2f32.powi(-8)), (FloatDType::F16, 2f32.powi(-11))]
    {
        let (half_loss, half_gradients) = step(task, batch.clone(), Some(dtype));
        assert_eq!(half_gradients.len(), gradients.len());
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let norm = |a: &[f32]| dot(a, a).sqrt();
        let difference: Vec<_> =
            gradients.iter().zip(&half_gradients).map(|(a, b)| a - b).collect();
        let (loss_off, gradient_off) =
            ((half_loss - loss).abs() / loss, norm(&difference) / norm(&gradients));
        println!("{dtype:?}: loss off by {loss_off:.1e}, gradient by {gradient_off:.1e}");
        assert!(loss_off < rounding, "{dtype:?}: a loss of {half_loss} for {loss}");
        assert!(gradient_off < 8.0 * rounding, "{dtype:?}: gradients off by {gradient_off}");
    }
}

#[test]
fn losses_and_gradients_of_half_precision_are_nearly_those_of_f32() {
    let config = mae(IMAGE);
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same(&config.init(&mut weights(3)), &batch);
    let config = simmim(IMAGE);
    let encoder = burn_mim::VitConfig { drop_path: 0.0, ..config.encoder.clone() };
    let config = SimMimConfig { encoder, ..config };
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same(&config.init(&mut weights(3)), &batch);
    let config = SimMimConfig::new(swin(IMAGE)).with_mask_unit(4);
    nearly_the_same(&config.init(&mut weights(3)), &batch);
}

#[test]
fn a_run_in_half_precision_keeps_its_weights_in_f32_and_learns_as_much() {
    let config = mae(IMAGE);
    let train = loader(IMAGE, config.mask().unwrap(), true, 0);
    let valid = loader(IMAGE, config.mask().unwrap(), false, 0);
    let run = |precision| {
        let folder = tempfile::tempdir().unwrap();
        let run = pretraining(folder.path(), recipe(3)).precision(precision);
        let trained = run.run(config.init(&mut weights(3)), &train, &valid).unwrap();
        let weight = trained.task.encoder.body.patch_embed.weight.val();
        assert_eq!(weight.dtype(), DType::F32);
        let checkpoint = RunFolder::new(folder.path()).require_latest().unwrap();
        let record = ModuleRecord::load(checkpoint.path().join("model.bpk")).unwrap();
        let saved = config.init(&mut weights(4)).try_load_record(record).unwrap();
        assert_eq!(saved.head.mask_token.val().dtype(), DType::F32);
        losses(&trained.history)
    };
    let whole = run(Precision::F32);
    for precision in [Precision::Bf16, Precision::F16] {
        let half = run(precision);
        assert_ne!(half, whole);
        for ([_, half, _], [_, whole, _]) in half.iter().zip(&whole) {
            assert!((half - whole).abs() < 0.02 * whole, "{precision}: {half} for {whole}");
        }
    }
}

#[test]
fn a_run_cannot_be_resumed_in_another_precision() {
    let config = mae(IMAGE);
    let train = loader(IMAGE, config.mask().unwrap(), true, 0);
    let valid = loader(IMAGE, config.mask().unwrap(), false, 0);
    let folder = tempfile::tempdir().unwrap();
    let model = || config.init(&mut weights(3));
    pretraining(folder.path(), recipe(1)).run(model(), &train, &valid).unwrap();
    let run = pretraining(folder.path(), recipe(1)).precision(Precision::Bf16).resume(true);
    let message = run.run(model(), &train, &valid).unwrap_err().to_string();
    assert!(message.contains("has precision \"f32\""), "{message}");
}

/// A task that says nothing of precision.
#[derive(Module, Debug)]
struct Plain<T: Module> {
    inner: T,
}

impl<T: PretextTask<Batch = MimBatch>> PretextTask for Plain<T> {
    type Batch = MimBatch;

    fn loss(&self, batch: MimBatch) -> TaskOutput {
        self.inner.loss(batch)
    }
}

#[test]
fn a_task_that_computes_in_f32_alone_says_so() {
    let config = mae(IMAGE);
    let train = loader(IMAGE, config.mask().unwrap(), true, 0);
    let valid = loader(IMAGE, config.mask().unwrap(), false, 0);
    let folder = tempfile::tempdir().unwrap();
    let task = Plain { inner: config.init(&mut weights(3)) };
    let run = pretraining(folder.path(), recipe(1)).precision(Precision::Bf16);
    let message = run.run(task, &train, &valid).unwrap_err().to_string();
    assert!(message.contains("cannot be trained in mixed precision"), "{message}");
}
